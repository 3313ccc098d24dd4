#include "template_engine/refusals.h"

#include <algorithm>
#include <tuple>

namespace zorya::template_engine {
namespace {

std::vector<Refusal> in_order(std::vector<Refusal> list) {
  const auto key = [](const Refusal& r) {
    return std::tie(r.line, r.column, r.logical_id, r.property, r.message);
  };
  std::stable_sort(list.begin(), list.end(),
                   [&](const Refusal& a, const Refusal& b) { return key(a) < key(b); });
  list.erase(std::unique(list.begin(), list.end(),
                         [&](const Refusal& a, const Refusal& b) { return key(a) == key(b); }),
             list.end());
  return list;
}

}  // namespace

std::string to_string(const Refusal& refusal) {
  std::string text = refusal.file.string();
  if (refusal.line > 0) {
    text += ":" + std::to_string(refusal.line);
    if (refusal.column > 0) text += ":" + std::to_string(refusal.column);
  }
  text += ": ";
  if (!refusal.logical_id.empty()) text += refusal.logical_id + ": ";
  if (!refusal.property.empty()) text += refusal.property + ": ";
  return text + refusal.message;
}

void Refusals::add(Position position, const Place& place, std::string message) {
  refusals_.push_back({file_, position.line, position.column, place.logical_id, place.property,
                       std::move(message)});
}

void Refusals::note(Position position, const Place& place, std::string message) {
  notes_.push_back({file_, position.line, position.column, place.logical_id, place.property,
                    std::move(message)});
}

std::vector<Refusal> Refusals::take() { return in_order(std::move(refusals_)); }
std::vector<Refusal> Refusals::take_notes() { return in_order(std::move(notes_)); }

}  // namespace zorya::template_engine
