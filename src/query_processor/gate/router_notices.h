#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace zorya::query_processor::gate {

/// What the session router is told beside the answers, and clients are not. Once, in the
/// postmaster, which its backends inherit: the setting by which the router asks for it
/// (router_word.h), and a ParameterStatus for every change of a parameter
/// that a session may set, by which the router knows what a fresh backend in the place of a lost
/// one must be set to.
void install_router_notices();

/// There is a session router, which ends those who are in the way of a schema change.
bool router_is_there();

/// The version of the catalogue that this session has seen by now, kept for a backend that takes
/// this one's place (ZR004). Plain frame; can raise.
void report_catalogue_seen(std::uint64_t version);
/// What the router was told so by the backend whose place this one takes; 0: there was none, or the
/// session knows of every change.
std::uint64_t catalogue_seen_before();

/// A schema change begins here: from now on it may wait for a lock. The router hears of it before
/// the wait begins (NOTICE ZR002, flushed), and ends those who hold the lock. Nothing is sent to a
/// session that did not ask for it. Plain frame; can raise.
void announce_schema_change();

/// What a message of the session router's says behind its word, to the end of `text`: nothing if
/// `text` (which may be null) is not the router's.
std::optional<std::string_view> said_by_router(const char* text);

}  // namespace zorya::query_processor::gate
