#include "router/awaited.h"

#include <algorithm>

namespace zorya::router {
namespace {

bool is_unit(const Awaited::Entry& entry) {
  return entry.kind == Awaited::Kind::kSync || entry.kind == Awaited::Kind::kQuery ||
         entry.kind == Awaited::Kind::kRefusedCall;
}

bool is_extended(const Awaited::Entry& entry) {
  return entry.kind == Awaited::Kind::kExtended || entry.kind == Awaited::Kind::kDescribe ||
         entry.kind == Awaited::Kind::kDescribeAsync;
}

}  // namespace

void Awaited::add(Entry entry) {
  entry.parse_count = parses_sent_;
  entries_.push_back(entry);
}

void Awaited::add_extended() {
  if (entries_.empty() || entries_.back().kind != Kind::kExtended) add({.kind = Kind::kExtended});
}

void Awaited::add_parse(Parse parse) {
  parses_.push_back(std::move(parse));
  ++parses_sent_;
}

bool Awaited::is_simple() const {
  return is_front(Kind::kQuery) || is_front(Kind::kRefusedCall) || is_front(Kind::kOwnQuery);
}

bool Awaited::is_open() const {
  return !entries_.empty() && std::all_of(entries_.begin(), entries_.end(), is_extended);
}

bool Awaited::ends_open() const { return !entries_.empty() && is_extended(entries_.back()); }

std::size_t Awaited::unit_count() const {
  return static_cast<std::size_t>(std::count_if(entries_.begin(), entries_.end(), is_unit));
}

bool Awaited::may_commit() const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [](const Entry& entry) { return is_unit(entry) && entry.may_commit; });
}

Awaited::Kind Awaited::described() {
  while (is_front(Kind::kExtended)) entries_.pop_front();
  if (entries_.empty()) return Kind::kExtended;
  const Kind front = entries_.front().kind;
  if (front == Kind::kDescribe || front == Kind::kDescribeAsync) entries_.pop_front();
  return front;
}

std::optional<Awaited::Parse> Awaited::parsed() {
  if (parses_.empty()) return std::nullopt;
  Parse parse = std::move(parses_.front());
  parses_.pop_front();
  return parse;
}

Awaited::Kind Awaited::ready() {
  const auto is_end = [this](const Entry& entry) {
    switch (entry.kind) {
      case Kind::kSync:
      case Kind::kOwnSync:
        return true;
      case Kind::kQuery:
      case Kind::kRefusedCall:
      case Kind::kOwnQuery:
        return !skipping_;
      default:
        return false;
    }
  };
  auto end = std::find_if(entries_.begin(), entries_.end(), is_end);
  if (end == entries_.end()) {
    skipping_ = false;
    end = std::find_if(entries_.begin(), entries_.end(), is_end);
  }
  skipping_ = false;
  if (end == entries_.end()) {
    entries_.clear();
    return Kind::kExtended;
  }
  const Entry done = *end;
  entries_.erase(entries_.begin(), end + 1);
  // Of the Parse messages before it those without an answer by now have none.
  const auto later = static_cast<std::size_t>(parses_sent_ - done.parse_count);
  while (parses_.size() > later) parses_.pop_front();
  return done.kind;
}

void Awaited::copy_ended() {
  std::erase_if(entries_, [](const Entry& entry) { return entry.kind == Kind::kSync; });
}

void Awaited::clear() {
  entries_.clear();
  parses_.clear();
  skipping_ = false;
}

}  // namespace zorya::router
