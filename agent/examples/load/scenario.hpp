// Which requests are sent: always the same one, or the mixture that a mailroom sees.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "agent/examples/load/target.hpp"

namespace signalbox::load {

/// Ready to be written to a connection.
struct PreparedRequest {
    std::string bytes;
    bool is_head = false;  ///< the response has no body
};

/// `keep_alive` false asks the server to close after the response.
PreparedRequest prepare(const Target& target, std::string_view method, std::string_view path,
                        std::string_view body, bool keep_alive);

class Scenario {
public:
    static Scenario single(PreparedRequest request);
    /// GET /hello (a third) and POST /classify (the rest) below the target's path. Letters are generated: a
    /// third of them spam; most of some kilobytes, few of some hundred. The same seed gives the same
    /// sequence.
    static Scenario mailroom(const Target& target, bool keep_alive, std::uint64_t seed = 1);

    /// Valid as long as the scenario.
    const PreparedRequest& next();

private:
    std::vector<PreparedRequest> requests_;
    std::mt19937_64 random_;
};

/// A letter such as mailroom's scenario sends.
std::string generate_letter(std::mt19937_64& random);

}  // namespace signalbox::load
