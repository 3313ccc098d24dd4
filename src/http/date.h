#pragma once

#include <chrono>
#include <string>

namespace zorya::http {

/// "Thu, 26 Nov 2026 02:30:00 GMT": the Date header; RFC 9110, 5.6.7.
std::string http_date(std::chrono::system_clock::time_point time);

/// "26/Nov/2026:02:30:00 +0000": the form of access logs and of requestTime.
std::string common_log_date(std::chrono::system_clock::time_point time);

}  // namespace zorya::http
