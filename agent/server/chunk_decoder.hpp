// The chunked coding of a body (RFC 9112, section 7.1), incremental and strict.
//
// Not Beast's: version 1.81 asserts when a last chunk arrives in small pieces, and takes white space and line
// ends that the grammar does not have.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/server/refusal.hpp"

namespace signalbox::server {

class ChunkDecoder {
public:
    /// `trailer_limit` of all trailers, which are checked and discarded.
    explicit ChunkDecoder(std::size_t trailer_limit) : trailer_limit_(trailer_limit) {}

    /// Takes from the front of `input`, appends to `body`, returns how much was consumed; the rest is to be
    /// presented again with more behind it. `body_limit` is of all chunks together. Not to be called once
    /// done() or refused.
    std::size_t decode(std::string_view input, std::size_t body_limit, std::string& body);

    bool done() const { return state_ == State::done; }
    const Refusal& refusal() const { return refusal_; }

private:
    enum class State { size, data, data_end, trailer, done };

    bool refuse(int status, const char* reason);
    bool step(std::string_view& input, std::size_t body_limit, std::string& body);
    bool take_line(std::string_view& input, std::size_t limit, std::string_view& line);
    bool take_size(std::string_view line, std::size_t body_limit);
    bool take_trailer(std::string_view line);

    const std::size_t trailer_limit_;
    State state_ = State::size;
    Refusal refusal_;
    std::uint64_t remaining_ = 0;  ///< of the chunk
    std::size_t announced_ = 0;    ///< bytes of all chunks
    std::size_t scanned_ = 0;      ///< bytes of an unfinished line that have been looked at
    std::size_t extension_bytes_ = 0;
    std::size_t trailer_bytes_ = 0;
};

}  // namespace signalbox::server
