#include "values.h"

#include "adjudicator/key_hash.h"
#include "adjudicator/plant.h"

#include <algorithm>
#include <bit>
#include <cctype>

namespace zorya::simulation {
namespace {

// ------------------------------------------------------------------ equality, by its meaning

/// a / 10^scale_a is b / 10^scale_b.
bool equal_numerics(const Value& a, const Value& b) {
  std::int64_t left = a.number;
  std::int64_t right = b.number;
  for (int n = a.scale; n < b.scale; ++n) left *= 10;
  for (int n = b.scale; n < a.scale; ++n) right *= 10;
  return left == right;
}

bool equal_padded(const std::string& a, const std::string& b) {
  for (std::size_t n = 0; n < std::max(a.size(), b.size()); ++n) {
    if ((n < a.size() ? a[n] : ' ') != (n < b.size() ? b[n] : ' ')) return false;
  }
  return true;
}

bool equal_caseless(const std::string& a, const std::string& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) ==
           std::tolower(static_cast<unsigned char>(y));
  });
}

// ------------------------------------------------------------------ images, as a hash function
// makes them

std::uint64_t hash_bytes(const std::string& bytes, std::uint64_t seed) {
  std::uint64_t hash = seed;
  for (const char c : bytes) {
    hash = adjudicator::mix(hash + static_cast<unsigned char>(c) + 1);
  }
  return adjudicator::mix(hash + bytes.size());
}

/// The value as it is written, notation and all.
std::string raw_image(const Value& value) {
  switch (value.type) {
    case Value::Type::kNumeric:
      return std::to_string(value.number) + "/" + std::to_string(value.scale);
    case Value::Type::kFloat:
      return std::to_string(std::bit_cast<std::uint64_t>(value.real));
    case Value::Type::kInteger:
      return std::to_string(value.number);
    default:
      return value.text;
  }
}

std::string equality_image(Value value) {
  switch (value.type) {
    case Value::Type::kNumeric:
      for (; value.scale > 0 && value.number % 10 == 0; --value.scale) value.number /= 10;
      break;
    case Value::Type::kFloat:
      if (value.real == 0) value.real = 0;
      break;
    case Value::Type::kPaddedText:
      while (!value.text.empty() && value.text.back() == ' ') value.text.pop_back();
      break;
    case Value::Type::kCaselessText:
      for (char& c : value.text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      break;
    default:
      break;
  }
  return raw_image(value);
}

}  // namespace

bool equal(const Value& a, const Value& b) {
  if (a.type != b.type) return false;
  switch (a.type) {
    case Value::Type::kInteger:
      return a.number == b.number;
    case Value::Type::kNumeric:
      return equal_numerics(a, b);
    case Value::Type::kFloat:
      return a.real == b.real;
    case Value::Type::kPaddedText:
      return equal_padded(a.text, b.text);
    case Value::Type::kCaselessText:
      return equal_caseless(a.text, b.text);
    case Value::Type::kNull:
      return true;
  }
  return false;
}

Value some_value(Value::Type type, int n, Dice& dice) {
  Value value;
  value.type = type;
  switch (type) {
    case Value::Type::kInteger:
      value.number = n;
      break;
    case Value::Type::kNumeric:
      // n/2, so that some need a digit behind the point: 1.5, 1.50, 1.500.
      value.number = std::int64_t{5} * n;
      value.scale = 1;
      for (int zeros = dice.below(3); zeros > 0; --zeros) {
        value.number *= 10;
        ++value.scale;
      }
      break;
    case Value::Type::kFloat:
      value.real = n == 0 && dice.one_in(2) ? -0.0 : n * 0.25;
      break;
    case Value::Type::kPaddedText:
      value.text = std::string(1, static_cast<char>('a' + n)) +
                   std::string(static_cast<std::size_t>(dice.below(3)), ' ');
      break;
    case Value::Type::kCaselessText:
      value.text = std::string(1, static_cast<char>((dice.one_in(2) ? 'a' : 'A') + n)) + "x";
      break;
    case Value::Type::kNull:
      break;
  }
  return value;
}

bool equal(const Key& a, const Key& b) {
  return a.table == b.table && a.space == b.space &&
         std::equal(a.values.begin(), a.values.end(), b.values.begin(), b.values.end(),
                    [](const Value& x, const Value& y) { return equal(x, y); });
}

adjudicator::KeyHash hash_of(const Key& key) {
  adjudicator::KeyHash hash = adjudicator::kEmptyKey;
  adjudicator::add(&hash, static_cast<std::uint64_t>(key.table));
  adjudicator::add(&hash, static_cast<std::uint64_t>(key.space));
  for (const Value& value : key.values) {
    if (value.type == Value::Type::kNull) {
      adjudicator::add_null(&hash);
      continue;
    }
    const bool raw = adjudicator::planted(adjudicator::Fault::kHashWithoutEquality);
    const std::string image = raw ? raw_image(value) : equality_image(value);
    adjudicator::add(&hash, hash_bytes(image, adjudicator::kHashSeedHigh),
                     hash_bytes(image, adjudicator::kHashSeedLow));
  }
  return hash;
}

}  // namespace zorya::simulation
