#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace zorya::template_engine {

/// What an id belongs to. `seed` is the instance's own random value, so that two instances do not
/// share ids.
struct IdSource {
  std::string_view seed;
  std::string_view purpose;  // "function", "api": ids of two purposes never agree by construction
  std::string_view stack;
  std::string_view logical_id;
};

/// `count` characters of a-z and 0-9, the same at each call for the same source. Not secret.
std::string stable_id(const IdSource& source, std::size_t count);

}  // namespace zorya::template_engine
