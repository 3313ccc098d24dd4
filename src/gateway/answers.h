#pragma once

#include <string_view>

namespace zorya::gateway {

/// An answer that the service gives by itself. Source: the fact sheet on API Gateway, 7.1 and 2.2;
/// bodies byte for byte where they are recorded.
struct Answer {
  int status;
  std::string_view error_type;  // of x-amzn-ErrorType; empty: none
  std::string_view body;
};

inline constexpr Answer kMissingAuthenticationToken{
    403, "MissingAuthenticationTokenException", R"({"message":"Missing Authentication Token"})"};
inline constexpr Answer kBadGateway{502, "InternalServerErrorException",
                                    R"({"message": "Internal server error"})"};
inline constexpr Answer kInternalError{500, "InternalServerErrorException",
                                       R"({"message": "Internal server error"})"};
inline constexpr Answer kEndpointTimeout{504, "InternalServerErrorException",
                                         R"({"message": "Endpoint request timed out"})"};
inline constexpr Answer kRequestTooLong{413, "RequestTooLargeException",
                                        R"({"message":"Request Too Long"})"};
inline constexpr Answer kUriTooLong{414, "", R"({"message":"Request URI too long"})"};
// Not recorded: what stands below is ours, in the service's form.
inline constexpr Answer kBadRequest{400, "BadRequestException", R"({"message":"Bad Request"})"};
inline constexpr Answer kRequestTimeout{408, "", R"({"message":"Request Timeout"})"};
inline constexpr Answer kExpectationFailed{417, "", R"({"message":"Expectation Failed"})"};
inline constexpr Answer kHeaderTooLarge{431, "",
                                        R"({"message":"Request Header Fields Too Large"})"};
inline constexpr Answer kNotImplemented{501, "", R"({"message":"Not Implemented"})"};
inline constexpr Answer kServiceUnavailable{503, "", R"({"message":"Service Unavailable"})"};

}  // namespace zorya::gateway
