#include "agent/supervisor/handover.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace signalbox::supervisor {
namespace {

/// Whoever lies may send more than a record ever has.
constexpr std::size_t kMostDescriptors = 64;

union ControlBuffer {
    cmsghdr alignment;
    char bytes[CMSG_SPACE(kMostDescriptors * sizeof(int))];
};

std::vector<int> descriptors_of(msghdr& message) {
    std::vector<int> all;
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        all.resize((part->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        std::memcpy(all.data(), CMSG_DATA(part), all.size() * sizeof(int));
    }
    return all;
}

/// What is wrong with it; "" if nothing is.
std::string complaint_about(const HandoverRecord& record, std::size_t length, int flags,
                            std::size_t descriptors) {
    if (length != sizeof record || (flags & MSG_TRUNC) != 0)
        return fmt::format("{} bytes that are no record of an upgrade", length);
    if (record.magic != kHandoverMagic) return "a record that is none of an upgrade";
    if (record.version != kHandoverVersion)
        return fmt::format("a record of version {}, and this program speaks {}", record.version,
                           kHandoverVersion);
    if ((flags & MSG_CTRUNC) != 0 || record.descriptors != descriptors || descriptors > kSocketsPerRecord)
        return fmt::format("a record with {} descriptors instead of {}", descriptors, record.descriptors);
    for (const std::uint32_t bytes : record.address_bytes)
        if (bytes > sizeof(sockaddr_storage)) return "a record with an address that is none";
    return {};
}

}  // namespace

bool send_record(int socket, const HandoverRecord& given, const std::vector<int>& descriptors) {
    HandoverRecord record = given;
    record.descriptors = static_cast<std::uint32_t>(descriptors.size());
    iovec data{&record, sizeof record};
    ControlBuffer control{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    if (!descriptors.empty()) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(descriptors.size() * sizeof(int));
        cmsghdr* part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
        std::memcpy(CMSG_DATA(part), descriptors.data(), descriptors.size() * sizeof(int));
    }
    return ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof record);
}

ReceivedRecord receive_record(int socket) {
    ReceivedRecord received;
    iovec data{&received.record, sizeof received.record};
    ControlBuffer control{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    const auto receive = [&] {
        return ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_TRUNC);
    };
    ssize_t length = receive();
    // It has ended with something unread; what it said before comes after this.
    if (length < 0 && errno == ECONNRESET) length = receive();
    if (length < 0 && (errno == EAGAIN || errno == EINTR)) return received;
    if (length <= 0) {
        received.kind = ReceivedRecord::Kind::end;
        return received;
    }
    received.descriptors = descriptors_of(message);
    received.complaint = complaint_about(received.record, static_cast<std::size_t>(length), message.msg_flags,
                                         received.descriptors.size());
    received.kind = received.complaint.empty() ? ReceivedRecord::Kind::record : ReceivedRecord::Kind::garbage;
    received.record.text[sizeof received.record.text - 1] = '\0';
    if (received.kind == ReceivedRecord::Kind::garbage)
        for (const int descriptor : std::exchange(received.descriptors, {}))
            ::close(descriptor);
    return received;
}

void close_if_open(int& descriptor) {
    if (descriptor >= 0) ::close(descriptor);
    descriptor = -1;
}

}  // namespace signalbox::supervisor
