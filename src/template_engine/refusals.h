#pragma once

#include "template_engine/document.h"
#include "template_engine/plan.h"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace zorya::template_engine {

/// Which place of the template is being read, for the reader of a refusal.
struct Place {
  std::string logical_id;  // empty outside Resources
  std::string property;    // "Properties.Events.List"; a section's path outside Resources

  [[nodiscard]] Place operator/(std::string_view name) const {
    return {logical_id, property.empty() ? std::string(name) : property + "." + std::string(name)};
  }
};

/// Gathers every reason against a template, so that all are told at once.
class Refusals {
 public:
  explicit Refusals(std::filesystem::path file) : file_(std::move(file)) {}

  void add(Position position, const Place& place, std::string message);
  /// What is taken but has no effect here: told, not hidden.
  void note(Position position, const Place& place, std::string message);

  [[nodiscard]] bool empty() const { return refusals_.empty(); }
  /// In the order of the text, each place and reason once.
  [[nodiscard]] std::vector<Refusal> take();
  [[nodiscard]] std::vector<Refusal> take_notes();

 private:
  std::filesystem::path file_;
  std::vector<Refusal> refusals_;
  std::vector<Refusal> notes_;
};

}  // namespace zorya::template_engine
