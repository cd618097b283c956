#include "agent/server/chunk_decoder.hpp"

#include <boost/beast/core/string.hpp>
#include <charconv>

#include "agent/server/token.hpp"

namespace signalbox::server {

namespace {

/// Of one request, over all its chunks: they cost work and carry nothing.
constexpr std::size_t kMaxExtensionBytes = 4096;

/// Takes a token, or with `quoted` a quoted string, off the front. False if there is none.
bool take_word(std::string_view& text, bool quoted) {
    std::size_t end = 0;
    if (quoted && text.starts_with('"')) {
        for (end = 1; end < text.size() && text[end] != '"'; ++end)
            if (text[end] == '\\') ++end;
        if (end >= text.size()) return false;
        ++end;
    } else {
        while (end < text.size() && is_token_character(text[end]))
            ++end;
        if (end == 0) return false;
    }
    text.remove_prefix(end);
    return true;
}

/// *( ";" name [ "=" value ] )
bool are_extensions(std::string_view text) {
    if (!is_value(text)) return false;
    while (!text.empty()) {
        if (!text.starts_with(';')) return false;
        text.remove_prefix(1);
        if (!take_word(text, false)) return false;
        if (!text.starts_with('=')) continue;
        text.remove_prefix(1);
        if (!take_word(text, true)) return false;
    }
    return true;
}

}  // namespace

bool ChunkDecoder::refuse(int status, const char* reason) {
    refusal_ = {status, reason};
    return false;
}

std::size_t ChunkDecoder::decode(std::string_view input, std::size_t body_limit, std::string& body) {
    const std::size_t size = input.size();
    while (state_ != State::done && step(input, body_limit, body)) {
    }
    return size - input.size();
}

/// False when more input is needed, or when it is refused.
bool ChunkDecoder::step(std::string_view& input, std::size_t body_limit, std::string& body) {
    std::string_view line;
    switch (state_) {
        case State::size:
            return take_line(input, kMaxExtensionBytes, line) && take_size(line, body_limit);
        case State::data: {
            const std::string_view data = input.substr(0, remaining_);
            body += data;
            input.remove_prefix(data.size());
            remaining_ -= data.size();
            if (remaining_ > 0) return false;
            state_ = State::data_end;
            return true;
        }
        case State::data_end:
            if (!std::string_view("\r\n").starts_with(input.substr(0, 2)))
                return refuse(400, "a chunk that is longer than its size");
            if (input.size() < 2) return false;
            input.remove_prefix(2);
            state_ = State::size;
            return true;
        case State::trailer:
            return take_line(input, trailer_limit_ - trailer_bytes_, line) && take_trailer(line);
        case State::done:
            return false;
    }
    return false;
}

/// A whole line, without its end; at most `limit` bytes of it are waited for.
bool ChunkDecoder::take_line(std::string_view& input, std::size_t limit, std::string_view& line) {
    const std::size_t end = input.find('\n', scanned_);
    if (std::min(end, input.size()) > limit) return refuse(400, "chunk extension or trailer too long");
    if (end == input.npos) {
        scanned_ = input.size();
        return false;
    }
    scanned_ = 0;
    if (end == 0 || input[end - 1] != '\r') return refuse(400, "a line that does not end in CR LF");
    line = input.substr(0, end - 1);
    input.remove_prefix(end + 1);
    return true;
}

bool ChunkDecoder::take_size(std::string_view line, std::size_t body_limit) {
    const char* const end = line.data() + line.size();
    const auto [rest, error] = std::from_chars(line.data(), end, remaining_, 16);
    // from_chars takes a sign for signed types only.
    if (error != std::errc() || !are_extensions({rest, end})) return refuse(400, "malformed chunk size");
    extension_bytes_ += static_cast<std::size_t>(end - rest);
    if (extension_bytes_ > kMaxExtensionBytes) return refuse(400, "chunk extensions too long");
    if (remaining_ > body_limit - announced_) return refuse(413, "body too large");
    announced_ += remaining_;
    state_ = remaining_ == 0 ? State::trailer : State::data;
    return true;
}

bool ChunkDecoder::take_trailer(std::string_view line) {
    if (line.empty()) {
        state_ = State::done;
        return true;
    }
    trailer_bytes_ += line.size();
    const std::string_view name = line.substr(0, line.find(':'));
    if (name.size() == line.size() || !is_token(name) || !is_value(line.substr(name.size() + 1)))
        return refuse(400, "malformed trailer");
    if (boost::beast::iequals(name, "content-length") || boost::beast::iequals(name, "transfer-encoding"))
        return refuse(400, "a trailer that would say the length again");
    return true;
}

}  // namespace signalbox::server
