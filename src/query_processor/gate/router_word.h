#pragma once

#include <string_view>

/// The word by which a backend knows its session router's own messages from a client's. The router
/// chooses it and says it in the startup packet, as a setting that no session can read or change. A
/// query that begins with it is no SQL, so that it fails the transaction that it meets; it, or the
/// reason in a CopyFail, goes on with why. Plain data, which the router compiles too.
namespace zorya::query_processor::gate {

inline constexpr const char* kRouterWordSetting = "zorya.router_word";

/// What a session has seen of the catalogue by the backend whose place this one takes (ZR004).
inline constexpr const char* kCatalogueSeenSetting = "zorya.catalogue_seen";

/// Behind the word: this backend is set as the one was whose place it takes.
inline constexpr std::string_view kRestored = " restored";
/// Behind the word: what the transaction had to give way to. Anything else: nothing was lost by it.
inline constexpr std::string_view kForSchemaChange = " schema";
inline constexpr std::string_view kForAge = " age";

}  // namespace zorya::query_processor::gate
