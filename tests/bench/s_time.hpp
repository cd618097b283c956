// openssl s_time, which opens one TLS connection after another, each with a full handshake and GET /hello.
#pragma once

#include <cstdint>
#include <string>

namespace bench {

/// How many connections there were.
/// Throws std::runtime_error if it fails or there was none.
std::uint64_t run_s_time(unsigned short port, unsigned seconds);
/// Its report, read. Throws as above.
std::uint64_t parse_s_time(const std::string& report);

}  // namespace bench
