#include "template_engine/document.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <sstream>

namespace zorya::template_engine {
namespace {

// The functions of the template language that have a short tag. Ref and Condition keep their name.
constexpr std::array<std::string_view, 19> kShortTags = {
    "Ref",    "Condition", "GetAtt",      "Sub",    "Join",        "Split",     "Select",
    "If",     "Equals",    "And",         "Or",     "Not",         "FindInMap", "Base64",
    "GetAZs", "Cidr",      "ImportValue", "Length", "ToJsonString"};

constexpr std::array<std::string_view, 4> kPlainTags = {
    "tag:yaml.org,2002:str", "tag:yaml.org,2002:int", "tag:yaml.org,2002:bool",
    "tag:yaml.org,2002:float"};

// Thrown through yaml-cpp's parser, which knows no other way to stop; caught in parse_document.
struct Stop {
  SyntaxError error;
};

Position position_of(const YAML::Mark& mark) {
  return mark.is_null() ? Position{} : Position{mark.line + 1, mark.column + 1};
}

[[noreturn]] void stop(const YAML::Mark& mark, std::string message) {
  throw Stop{{position_of(mark), std::move(message)}};
}

std::size_t count_values(const Value& value) {
  std::size_t count = 1;
  for (const Value& item : value.items) count += count_values(item);
  for (const Member& member : value.members) count += count_values(member.value);
  return count;
}

// `!GetAtt A.B` is split at the first dot; other short forms keep their argument as it is.
Value long_form(std::string_view tag, Value argument) {
  const std::string_view short_name = tag.substr(1);
  const Position position = argument.position;
  const bool bare = short_name == "Ref" || short_name == "Condition";
  if (short_name == "GetAtt" && argument.is_scalar()) {
    const std::size_t dot = argument.text.find('.');
    Value pair(Kind::kSequence, position);
    pair.items.push_back(make_scalar(argument.text.substr(0, dot), position));
    if (dot != std::string::npos) {
      pair.items.push_back(make_scalar(argument.text.substr(dot + 1), position));
    }
    argument = std::move(pair);
  }
  Value call(Kind::kMapping, position);
  call.members.push_back({bare ? std::string(short_name) : "Fn::" + std::string(short_name),
                          position, std::move(argument)});
  return call;
}

// Builds values from the parser's events, and bounds them.
class Builder final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    finish(Value(Kind::kNull, position_of(mark)), "?", anchor, mark);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    Value value = make_scalar(text, position_of(mark));
    value.quoted = tag == "!";
    finish(std::move(value), tag, anchor, mark);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) stop(mark, "an alias may not stand inside its own anchor");
    count_ += count_values(found->second);
    check_count(mark);
    finish(found->second, "?", 0, mark);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(Value(Kind::kSequence, position_of(mark)), tag, anchor, mark);
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(Value(Kind::kMapping, position_of(mark)), tag, anchor, mark);
  }
  void OnMapEnd() override { close(); }

  std::optional<Value> take() { return std::move(root_); }

 private:
  struct Frame {
    Value value;
    std::string tag;
    YAML::anchor_t anchor;
    YAML::Mark mark;
    std::optional<Member> pending;  // a mapping's name that waits for its value
  };

  void check_count(const YAML::Mark& mark) const {
    if (count_ > kMaxDocumentNodes) {
      stop(mark, "more than " + std::to_string(kMaxDocumentNodes) + " values in one template");
    }
  }

  void open(Value value, const std::string& tag, YAML::anchor_t anchor, const YAML::Mark& mark) {
    if (frames_.size() >= kMaxDocumentDepth) {
      stop(mark, "nested more than " + std::to_string(kMaxDocumentDepth) + " deep");
    }
    frames_.push_back({std::move(value), tag, anchor, mark, std::nullopt});
  }

  void close() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    finish(std::move(frame.value), frame.tag, frame.anchor, frame.mark);
  }

  void finish(Value value, const std::string& tag, YAML::anchor_t anchor, const YAML::Mark& mark) {
    ++count_;
    check_count(mark);
    const bool is_name = !frames_.empty() && frames_.back().value.is_mapping() &&
                         !frames_.back().pending.has_value();
    if (is_name) return take_name(value, tag, mark);
    value = apply_tag(std::move(value), tag, mark);
    if (anchor != 0) anchors_[anchor] = value;
    if (frames_.empty()) {
      root_ = std::move(value);
      return;
    }
    Frame& parent = frames_.back();
    if (parent.value.is_sequence()) {
      parent.value.items.push_back(std::move(value));
      return;
    }
    parent.pending->value = std::move(value);
    parent.value.members.push_back(std::move(*parent.pending));
    parent.pending.reset();
  }

  void take_name(const Value& value, const std::string& tag, const YAML::Mark& mark) {
    const bool plain = tag == "?" || tag == "!" || tag.empty();
    if (!value.is_scalar() || !plain) stop(mark, "a key must be a plain text");
    if (value.text == "<<" && !value.quoted) stop(mark, "merge keys (<<) are not supported");
    Frame& parent = frames_.back();
    if (parent.value.find(value.text) != nullptr) {
      stop(mark, "duplicate key '" + value.text + "'");
    }
    parent.pending = Member{value.text, value.position, {}};
  }

  static Value apply_tag(Value value, const std::string& tag, const YAML::Mark& mark) {
    if (tag.empty() || tag == "?" || tag == "!") return value;
    if (std::find(kPlainTags.begin(), kPlainTags.end(), tag) != kPlainTags.end()) return value;
    const std::string_view name = std::string_view(tag).substr(1);
    if (tag.front() != '!' ||
        std::find(kShortTags.begin(), kShortTags.end(), name) == kShortTags.end()) {
      stop(mark, "tag " + tag + " is no function of the template language");
    }
    return long_form(tag, std::move(value));
  }

  std::vector<Frame> frames_;
  std::map<YAML::anchor_t, Value> anchors_;
  std::optional<Value> root_;
  std::size_t count_ = 0;
};

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

}  // namespace

const Value* Value::find(std::string_view name) const {
  for (const Member& member : members) {
    if (member.name == name) return &member.value;
  }
  return nullptr;
}

Value make_scalar(std::string text, Position position) {
  Value scalar(Kind::kScalar, position);
  scalar.text = std::move(text);
  return scalar;
}

std::optional<long> as_integer(const Value& value) {
  if (!value.is_scalar() || value.text.empty()) return std::nullopt;
  long number = 0;
  const char* const begin = value.text.data();
  const char* const end = begin + value.text.size();
  const auto [rest, error] = std::from_chars(begin, end, number);
  if (error != std::errc{} || rest != end) return std::nullopt;
  return number;
}

std::optional<bool> as_boolean(const Value& value) {
  if (!value.is_scalar()) return std::nullopt;
  const std::string text = lower_case(value.text);
  if (text == "true") return true;
  if (text == "false") return false;
  if (value.quoted) return std::nullopt;
  if (text == "yes" || text == "on") return true;
  if (text == "no" || text == "off") return false;
  return std::nullopt;
}

std::optional<std::string_view> intrinsic_name(const Value& value) {
  if (!value.is_mapping() || value.members.size() != 1) return std::nullopt;
  const std::string& name = value.members.front().name;
  if (name == "Ref" || name == "Condition" || name.starts_with("Fn::")) return name;
  return std::nullopt;
}

std::variant<Value, SyntaxError> parse_document(std::string_view text) {
  if (text.size() > kMaxTemplateBytes) {
    return SyntaxError{{}, "longer than " + std::to_string(kMaxTemplateBytes) + " bytes"};
  }
  if (text.find('\0') != std::string_view::npos) {
    return SyntaxError{{}, "not a text: it holds a zero byte"};
  }
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    Builder builder;
    if (!parser.HandleNextDocument(builder)) return SyntaxError{{1, 1}, "the template is empty"};
    std::optional<Value> root = builder.take();
    Builder second;
    if (parser.HandleNextDocument(second)) {
      return SyntaxError{{}, "more than one document in one file"};
    }
    if (!root) return SyntaxError{{1, 1}, "the template is empty"};
    return std::move(*root);
  } catch (const Stop& stopped) {
    return stopped.error;
  } catch (const YAML::Exception& error) {
    return SyntaxError{position_of(error.mark), error.msg};
  } catch (const std::exception& error) {
    return SyntaxError{{}, error.what()};
  }
}

}  // namespace zorya::template_engine
