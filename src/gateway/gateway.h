#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "function_host/client.h"
#include "telemetry/sink.h"
#include "template_engine/plan.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace zorya::gateway {

/// Bounds of the HTTP side. Durations are kept to within a quarter of a second.
struct Limits {
  std::size_t request_body_size_bytes_max = 10u << 20;  // 413 beyond
  std::size_t header_size_bytes_max = 20480;            // 431 beyond
  std::size_t target_size_bytes_max = 10240;            // 414 beyond
  std::size_t connections_max = 4096;  // beyond, who waited longest without a request goes
  std::size_t bodies_size_bytes_max = 256u << 20;     // of all requests being read; 503 beyond
  std::chrono::milliseconds header_deadline{10'000};  // from a request's first byte
  std::chrono::milliseconds body_deadline{60'000};    // from the header's end
  std::chrono::milliseconds write_deadline{60'000};
  std::chrono::milliseconds idle_deadline{310'000};            // between requests
  std::chrono::milliseconds integration_deadline{29'000};      // 504 beyond
  std::chrono::milliseconds before_request_deadline{600'000};  // 502 beyond
};

/// Called once when a request may go on, from any thread; an error is the reason why it cannot.
using RequestReady = std::function<void(base::Result<void>)>;

struct Options {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;                       // 0: a free one
  function_host::FunctionHost* host = nullptr;  // outlives the gateway
  telemetry::Sink* telemetry = nullptr;         // outlives the gateway; null: no segments are kept
  std::string account = "000000000000";
  std::string region = "us-east-1";
  /// Asked before each request is routed, on the gateway's thread; must not block. The request
  /// waits until `ready` is called; an error is answered with the service's 502, and its message
  /// with x-zorya-reason. Empty: requests go on at once.
  std::function<void(RequestReady ready)> before_request;
  const base::Clock* clock = &base::system_clock();
  Limits limits;
};

/// The HTTP front: REST APIs with Lambda proxy integration (payload format 1.0). One thread of its
/// own; HTTP/1.1 and 1.0. What is read and answered: docs/http.md.
class Gateway {
 public:
  /// Listens. kFailedPrecondition if the port is in use.
  static base::Result<std::unique_ptr<Gateway>> start(Options options);
  virtual ~Gateway() = default;  // stop()

  /// Replaces the APIs; requests routed before keep theirs. The first API serves URLs without a
  /// stage; with several, the first one that has the route. Any thread.
  virtual void set_apis(std::vector<template_engine::RestApi> apis) = 0;

  [[nodiscard]] virtual std::uint16_t port() const = 0;

  /// Closes every connection, answered or not, and ends the thread; idempotent. Not from a callback
  /// of the gateway.
  virtual void stop() = 0;
};

}  // namespace zorya::gateway
