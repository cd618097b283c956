// Random bytes as a datagram into what chooses its worker, and as what another worker has forwarded. A key lies within the
// datagram and leads to a slot that there is, the same one again; a forwarding header that is taken fits its socket, and comes
// back as it was.
#include <sys/un.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>

#include "agent/server/datagram/dispatch.hpp"
#include "signalbox/datagram.hpp"

using namespace signalbox;
using namespace signalbox::server;

namespace {

void check(bool condition) {
    if (!condition) std::abort();
}

void check_key(std::span<const std::byte> bytes, unsigned slots) {
    const std::string_view key = sip_call_id(bytes);
    if (key.empty()) return;
    const std::less_equal<const char*> not_behind;
    const char* begin = reinterpret_cast<const char*>(bytes.data());
    check(not_behind(begin, key.data()) && not_behind(key.data() + key.size(), begin + bytes.size()));
    check(key.find_first_of("\n") == key.npos && key.front() != ' ' && key.back() != ' ');
    const unsigned slot = slot_of(key, slots);
    check(slot < slots && slot == slot_of(key, slots));
    const unsigned wider = slot_of(key, slots + 1);
    check(wider == slot || wider == slots);
}

void check_header(std::span<const std::byte> bytes, int family) {
    const auto ends = read_header(bytes, family);
    if (!ends) return;
    check(ends->peer_size <= sizeof(sockaddr_storage));
    check(ends->peer_size == 0 ? family == AF_UNIX : ends->peer.ss_family == family);
    check(ends->local.family == AF_UNSPEC || ends->local.family == family);
    const ForwardingHeader again = header_for(*ends);
    check(std::memcmp(&again, bytes.data(), sizeof again) == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const unsigned slots = data[0] + 1u;
    const auto bytes = std::as_bytes(std::span(data + 1, size - 1));
    check_key(bytes, slots);
    for (const int family : {AF_INET, AF_INET6, AF_UNIX})
        check_header(bytes, family);
    return 0;
}
