#pragma once

#include "adjudicator/write_record.h"

#include "dice.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace zorya::simulation {

/// A value as a client may write it. Several notations of one value are equal.
struct Value {
  enum class Type { kInteger, kNumeric, kFloat, kPaddedText, kCaselessText, kNull };
  Type type = Type::kNull;
  std::int64_t number = 0;  // of a numeric: times ten to the minus scale
  int scale = 0;
  double real = 0;
  std::string text;
};

/// True if an index takes the two for equal; two nulls are.
bool equal(const Value& a, const Value& b);

/// The n-th of a few values of a type, in one of its notations.
Value some_value(Value::Type type, int n, Dice& dice);

/// A row's identity or an entry of a unique index, as the schema means it.
struct Key {
  int table = 0;
  int space = 0;  // of the table: 0 is the primary key
  std::vector<Value> values;
};

bool equal(const Key& a, const Key& b);

/// What the adjudicator is told.
adjudicator::KeyHash hash_of(const Key& key);

}  // namespace zorya::simulation
