#include "template_engine/stable_id.h"

#include <cstdint>

namespace zorya::template_engine {
namespace {

// FNV-1a. Each part ends with a byte that UTF-8 text cannot hold: "ab","c" and "a","bc" differ.
void mix_in(std::uint64_t& hash, std::string_view part) {
  constexpr std::uint64_t kPrime = 1099511628211u;
  for (const char c : part) {
    hash ^= static_cast<unsigned char>(c);
    hash *= kPrime;
  }
  hash ^= 0xffu;
  hash *= kPrime;
}

// The output function of splitmix64: spreads every bit of the state.
std::uint64_t next(std::uint64_t& state) {
  state += 0x9e3779b97f4a7c15u;
  std::uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

}  // namespace

std::string stable_id(const IdSource& source, std::size_t count) {
  constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::uint64_t state = 14695981039346656037u;
  mix_in(state, source.seed);
  mix_in(state, source.purpose);
  mix_in(state, source.stack);
  mix_in(state, source.logical_id);
  std::string id;
  for (std::size_t index = 0; index < count; ++index) {
    id += kAlphabet[next(state) % kAlphabet.size()];
  }
  return id;
}

}  // namespace zorya::template_engine
