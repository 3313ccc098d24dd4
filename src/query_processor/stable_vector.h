#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace zorya::query_processor {

/// A vector whose elements never move. It grows by chunks of 256 and keeps some of them when it is
/// cleared, so that a transaction after another takes no memory and gives none back.
template <typename T>
class StableVector {
 public:
  static constexpr std::size_t kChunkSize = 256;

  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// As of a span, its constness is not that of its elements.
  [[nodiscard]] T& operator[](std::size_t n) const noexcept {
    return chunks_[n / kChunkSize][n % kChunkSize];
  }
  [[nodiscard]] T& back() const noexcept { return (*this)[size_ - 1]; }

  /// May throw std::bad_alloc, and then nothing changed.
  T& push_back(const T& value) {
    if (size_ == chunks_.size() * kChunkSize) {
      chunks_.reserve(chunks_.size() + 1);
      chunks_.push_back(std::make_unique<T[]>(kChunkSize));
    }
    T& place = chunks_[size_ / kChunkSize][size_ % kChunkSize];
    place = value;
    ++size_;
    return place;
  }
  void pop_back() noexcept { --size_; }

  /// Keeps the memory of `kept_count` elements at most.
  void clear(std::size_t kept_count) noexcept {
    size_ = 0;
    const std::size_t kept_chunks = (kept_count + kChunkSize - 1) / kChunkSize;
    if (chunks_.size() > kept_chunks) chunks_.resize(kept_chunks);
  }

 private:
  std::vector<std::unique_ptr<T[]>> chunks_;
  std::size_t size_ = 0;
};

}  // namespace zorya::query_processor
