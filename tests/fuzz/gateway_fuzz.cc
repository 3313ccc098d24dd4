// What clients and functions hand to the gateway: targets, query strings, trace headers, bodies and
// a function's answer. The first byte chooses; an event must be JSON whatever came.
#include "base/check.h"
#include "gateway/event.h"
#include "gateway/proxy_response.h"
#include "gateway/trace.h"
#include "http/request_line.h"
#include "http/target.h"

#include <boost/json.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace {

using namespace zorya;

std::vector<template_engine::RestApi> apis() {
  template_engine::RestApi api;
  api.id = "abcdefghij";
  api.binary_media_types = {"image/*"};
  for (const char* path : {"/", "/todos", "/todos/{id}", "/files/{proxy+}"}) {
    api.routes.push_back({"ANY", path, "F"});
  }
  return {api};
}

void make_event_of(std::string_view text) {
  static const gateway::RouteTable table(apis());
  const auto target = http::parse_target(text.substr(0, text.find('\n')));
  if (!target) return;
  const http::FieldView fields[] = {{"X-Any", text}, {text, "x"}, {"Content-Type", text}};
  gateway::Incoming incoming;
  incoming.method = "GET";
  incoming.authority = target->authority;
  incoming.path = target->path;
  incoming.query = target->query;
  incoming.fields = fields;
  incoming.body = text;
  const auto match = table.match("GET", incoming.path);
  if (!match) return;
  const std::string event = gateway::make_event(incoming, *match, {});
  boost::json::error_code error;
  boost::json::parse(event, error);
  CHECK(!error, event);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  static const std::string types[] = {"*/*"};
  switch (data[0] % 4) {
    case 0:
      make_event_of(text);
      break;
    case 1:
      (void)gateway::read_proxy_response(text, types, "image/png");
      break;
    case 2:
      (void)gateway::begin_trace(text, true, {});
      break;
    default:
      (void)http::may_begin_request(text);
  }
  return 0;
}
