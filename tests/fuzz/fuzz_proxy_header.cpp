// Random bytes in random splits into the reader of PROXY headers. Whatever the splits, the outcome must be that of
// one piece; no more is taken than there is or than a header may have; a byte that begins TLS is no header.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "agent/server/transport/proxy_header.hpp"
#include "agent/server/transport/sniff.hpp"
#include "agent/server/transport/trusted_peers.hpp"

using namespace signalbox::server;

namespace {

void check(bool condition) {
    if (!condition) std::abort();
}

struct Outcome {
    ProxyHeader header;
    std::size_t taken = 0;
};

/// Pieces are as long as `splits` say in turn; empty: all at once.
Outcome outcome_of(std::string_view bytes, const std::vector<std::uint8_t>& splits) {
    Outcome outcome;
    for (std::size_t turn = 0; outcome.header.status() == ProxyHeader::Status::need_more; ++turn) {
        const std::string_view left = bytes.substr(outcome.taken);
        if (left.empty()) break;
        const std::span<char> space = outcome.header.space();
        check(!space.empty() && outcome.taken + space.size() <= ProxyHeader::kMost);
        const std::size_t piece = splits.empty() ? left.size() : splits[turn % splits.size()] % 40 + 1u;
        const std::size_t size = std::min({piece, space.size(), left.size()});
        std::memcpy(space.data(), left.data(), size);
        outcome.header.commit(size);
        outcome.taken += size;
    }
    return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 4) return 0;
    const std::vector<std::uint8_t> splits(data, data + 4);
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 4, size - 4);
    const Outcome whole = outcome_of(bytes, {});
    const Outcome pieces = outcome_of(bytes, splits);
    using Status = ProxyHeader::Status;
    check(whole.header.status() == pieces.header.status());
    check(whole.header.client().has_value() == pieces.header.client().has_value());
    if (whole.header.status() == Status::complete) check(whole.taken == pieces.taken && whole.taken >= 16);
    if (!bytes.empty() && begins_tls(bytes[0])) check(whole.header.status() == Status::not_version_2);
    if (whole.header.client()) {
        check(whole.header.status() == Status::complete);
        check(std::memcmp(&*whole.header.client(), &*pieces.header.client(), sizeof(sockaddr_storage)) == 0);
        static const TrustedPeers trusted({"10.0.0.0/9", "fd00::/7", "unix"});
        check(trusted.contains(*whole.header.client()) == trusted.contains(*pieces.header.client()));
    }
    return 0;
}
