#include "base/hash.h"
#include "base/random.h"
#include "cluster/client.h"

#include <algorithm>

namespace zorya::cluster {
namespace {

constexpr std::size_t kIdCharacters = 26;

/// 13 characters of base 36, from 64 bits (36^13 is above 2^64).
void append_base36(std::string& text, unsigned long long number) {
  static constexpr std::string_view kDigits = "abcdefghijklmnopqrstuvwxyz0123456789";
  for (std::size_t i = 0; i < kIdCharacters / 2; ++i) {
    text.push_back(kDigits[number % kDigits.size()]);
    number /= kDigits.size();
  }
}

}  // namespace

bool is_cluster_id(std::string_view text) {
  return text.size() == kIdCharacters && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
         });
}

std::string make_cluster_id() { return base::random_alphanumeric(kIdCharacters); }

std::string cluster_id_for(std::string_view seed, std::string_view stack,
                           std::string_view logical_id) {
  std::string text;
  // Lengths first, so that ("a", "bc") and ("ab", "c") differ.
  for (const std::string_view part : {seed, stack, logical_id}) {
    text += std::to_string(part.size());
    text += ':';
    text += part;
  }
  const base::Hash128 hash = base::fnv1a_128(text);
  std::string id;
  append_base36(id, hash.high);
  append_base36(id, hash.low);
  return id;
}

std::string_view state_name(State state) {
  switch (state) {
    case State::kCreating:
      return "CREATING";
    case State::kActive:
      return "ACTIVE";
    case State::kInactive:
      return "INACTIVE";
    case State::kFailed:
      return "FAILED";
    case State::kDeleting:
      return "DELETING";
  }
  return "UNKNOWN";
}

}  // namespace zorya::cluster
