#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace zorya::pgwire {

/// A message: its type, then four bytes of length (of itself and the body), then the body.
inline constexpr std::size_t kHeaderBytes = 5;
/// The service's limit for one message of a client.
inline constexpr std::uint32_t kClientMessageBytesMax = 10u << 20;

inline std::uint32_t read_u32(std::string_view bytes) {
  return (static_cast<std::uint32_t>(static_cast<std::uint8_t>(bytes[0])) << 24) |
         (static_cast<std::uint32_t>(static_cast<std::uint8_t>(bytes[1])) << 16) |
         (static_cast<std::uint32_t>(static_cast<std::uint8_t>(bytes[2])) << 8) |
         static_cast<std::uint32_t>(static_cast<std::uint8_t>(bytes[3]));
}

/// One message as it was cut from a stream; borrowed until the handler returns.
struct Frame {
  char type = 0;
  std::string_view body;
  std::string_view whole;  // header and body
};

enum class CutStatus {
  kOk,
  kBadLength,  // below 4, or above the bound: nothing after it can be trusted
  kStopped,    // the handler wants no more
};

/// Cuts a stream of bytes into messages. What the handler wants to see is kept until it is whole;
/// all else is handed through as runs of bytes that hold whole messages or pieces of them, in
/// order, so that a large row is never kept and a thousand small ones cost one call. Messages of up
/// to `held_bytes_max` come whole: their beginning is kept until the end is there, so that another
/// message can follow what was handed through at any time.
///
/// A handler has
///   bool wants(char type);           // to see the whole message?
///   bool begin(char type);           // a message that is handed through begins; false stops
///   void pass(std::string_view run); // bytes handed through
///   bool take(const Frame& frame);   // a message that it wants; false stops
class FrameCutter {
 public:
  /// `size_bytes_max` bounds the length field of every message, `kept_bytes_max` of those wanted.
  FrameCutter(std::uint32_t size_bytes_max, std::uint32_t kept_bytes_max,
              std::uint32_t held_bytes_max = 0)
      : size_bytes_max_(size_bytes_max),
        kept_bytes_max_(kept_bytes_max),
        held_bytes_max_(held_bytes_max) {}

  template <typename Handler>
  CutStatus feed(std::string_view in, Handler& handler) {
    const std::size_t skipped = std::min(skip_left_, in.size());
    skip_left_ -= skipped;
    in.remove_prefix(skipped);
    std::size_t at = 0;
    std::size_t run = 0;  // in[run, at) is still to be handed through
    if (!kept_.empty()) {
      if (const CutStatus status = complete(in, at, handler); status != CutStatus::kOk)
        return status;
      run = at;
    }
    const auto flush = [&] {
      if (at > run) handler.pass(in.substr(run, at - run));
      run = at;
    };
    while (at < in.size()) {
      if (pass_left_ > 0) {
        const std::size_t size = std::min(pass_left_, in.size() - at);
        pass_left_ -= size;
        at += size;
        continue;
      }
      if (in.size() - at < kHeaderBytes) {
        flush();
        kept_.assign(in.substr(at));
        return CutStatus::kOk;
      }
      const char type = in[at];
      const std::uint32_t length = read_u32(in.substr(at + 1));
      const bool wanted = handler.wants(type);
      if (!is_good(length, wanted)) {
        flush();
        return CutStatus::kBadLength;
      }
      const std::size_t size = std::size_t{1} + length;
      if (!wanted) {
        if (in.size() - at < size && size <= held_bytes_max_) {
          flush();
          kept_.assign(in.substr(at));
          return CutStatus::kOk;
        }
        if (!handler.begin(type)) {
          flush();
          return CutStatus::kStopped;
        }
        pass_left_ = size;
        continue;
      }
      flush();
      if (in.size() - at < size) {
        kept_.assign(in.substr(at));
        return CutStatus::kOk;
      }
      const std::string_view whole = in.substr(at, size);
      at += size;
      run = at;
      if (!handler.take({type, whole.substr(kHeaderBytes), whole})) return CutStatus::kStopped;
    }
    flush();
    return CutStatus::kOk;
  }

  /// True between messages: nothing is kept and nothing half handed through.
  [[nodiscard]] bool at_boundary() const { return kept_.empty() && pass_left_ == 0; }
  /// True if what was handed through ends with a whole message.
  [[nodiscard]] bool passed_whole() const { return pass_left_ == 0; }

  /// The rest of a message that is half handed through is dropped as it comes.
  void drop_rest() {
    skip_left_ += pass_left_;
    pass_left_ = 0;
  }
  /// Begins anew with another stream.
  void reset() {
    kept_ = {};
    pass_left_ = skip_left_ = 0;
  }

 private:
  [[nodiscard]] bool is_good(std::uint32_t length, bool wanted) const {
    return length >= 4 && length <= (wanted ? kept_bytes_max_ : size_bytes_max_);
  }

  /// Goes on with a message of which `kept_` holds the beginning.
  template <typename Handler>
  CutStatus complete(std::string_view in, std::size_t& at, Handler& handler) {
    const auto keep = [&](std::size_t size_wanted) {
      const std::size_t size = std::min(size_wanted - kept_.size(), in.size() - at);
      kept_.append(in.substr(at, size));
      at += size;
      return kept_.size() == size_wanted;
    };
    if (kept_.size() < kHeaderBytes && !keep(kHeaderBytes)) return CutStatus::kOk;
    const char type = kept_[0];
    const std::uint32_t length = read_u32(std::string_view(kept_).substr(1));
    const bool wanted = handler.wants(type);
    if (!is_good(length, wanted)) return CutStatus::kBadLength;
    const std::size_t size = std::size_t{1} + length;
    if (!wanted && size > held_bytes_max_) {
      if (!handler.begin(type)) return CutStatus::kStopped;
      pass_left_ = size - kept_.size();
      handler.pass(kept_);
      kept_.clear();
      return CutStatus::kOk;
    }
    if (!keep(size)) return CutStatus::kOk;
    const std::string whole = std::move(kept_);
    kept_ = {};
    const std::string_view view = whole;
    if (!wanted) {
      if (!handler.begin(type)) return CutStatus::kStopped;
      handler.pass(view);
      return CutStatus::kOk;
    }
    return handler.take({type, view.substr(kHeaderBytes), view}) ? CutStatus::kOk
                                                                 : CutStatus::kStopped;
  }

  std::uint32_t size_bytes_max_;
  std::uint32_t kept_bytes_max_;
  std::uint32_t held_bytes_max_;
  std::string kept_;
  std::size_t pass_left_ = 0;
  std::size_t skip_left_ = 0;
};

}  // namespace zorya::pgwire
