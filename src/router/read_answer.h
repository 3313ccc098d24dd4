#pragma once

#include "pgwire/frame.h"
#include "router/stream.h"

#include <array>
#include <cstdint>

// Internal to router: it brings Asio.
namespace zorya::router {

inline constexpr std::uint32_t kAnswerBytesMax = 1 << 20;

/// Shows `handler` (of a pgwire::FrameCutter) what a server sends, until the handler stops it or
/// what comes is no protocol: the handler knows whether it has its answer. False if the stream
/// ended before. What comes behind the answer in the same read is dropped. `size_bytes_max` bounds
/// the messages that the handler does not want.
template <typename Handler>
asio::awaitable<bool> read_answer(ByteStream* stream, Handler* handler,
                                  std::uint32_t size_bytes_max = kAnswerBytesMax) {
  pgwire::FrameCutter cutter(size_bytes_max, kAnswerBytesMax);
  std::array<char, 4096> buffer;
  auto status = pgwire::CutStatus::kOk;
  while (status == pgwire::CutStatus::kOk) {
    const std::size_t size = co_await stream->read_some(buffer);
    if (size == 0) co_return false;
    status = cutter.feed({buffer.data(), size}, *handler);
  }
  co_return true;
}

}  // namespace zorya::router
