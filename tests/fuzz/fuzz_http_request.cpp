// Random bytes in random splits into the request parser. Whatever the splits, the outcome must be that of one
// piece, and what the parser says it consumed must be there; nor does it matter whether the body is taken away as it
// comes in.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "agent/server/http_parser.hpp"

using namespace signalbox;
using server::RequestParser;

namespace {

void check(bool condition) {
    if (!condition) std::abort();
}

/// Parses request after request; pieces are as long as `splits` say in turn.
std::string outcome_of(std::string_view bytes, const std::vector<std::uint8_t>& splits) {
    const HttpLimits limits{.header = Bytes{512}, .body = Bytes{300}, .streamed_body = Bytes{300}};
    const bool in_pieces = !splits.empty() && splits[0] % 2 == 1;
    Request request;
    RequestParser parser(limits, request);
    std::string outcome;
    std::string body;
    std::string unread;
    for (std::size_t turn = 0; !bytes.empty(); ++turn) {
        const std::size_t piece = splits.empty() ? bytes.size() : splits[turn % splits.size()] % 40 + 1;
        unread += bytes.substr(0, piece);
        bytes.remove_prefix(std::min(piece, bytes.size()));
        for (;;) {
            const auto [status, consumed] = parser.parse(unread);
            check(consumed <= unread.size());
            unread.erase(0, consumed);
            body += request.body;
            request.body.clear();
            check(body.size() <= 300);
            if (status == RequestParser::Status::need_more) break;
            if (status == RequestParser::Status::header) {
                if (in_pieces) parser.read_in_pieces();
                continue;
            }
            if (status == RequestParser::Status::refused)
                return outcome + std::to_string(parser.refusal().status);
            check(request.path == "*" || request.path.starts_with('/'));
            check(request.path.find("/../") == std::string::npos && !request.path.ends_with("/.."));
            outcome += request.method + ' ' + request.path + ' ' + body + (parser.keep_alive() ? "+" : "-");
            for (const Headers::Field& field : request.headers)
                outcome += field.name + ':' + field.value + ';';
            parser.reset();
            body.clear();
        }
    }
    return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 4) return 0;
    const std::vector<std::uint8_t> splits(data, data + 4);
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 4, size - 4);
    // Sizes are judged by what has come in, so beyond the limits the splits may matter: 413 or 431 instead of
    // 400.
    const std::string whole = outcome_of(bytes, {});
    const std::string pieces = outcome_of(bytes, splits);
    if (size < 512) check(whole == pieces);
    return 0;
}
