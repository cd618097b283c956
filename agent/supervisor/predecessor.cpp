#include "agent/supervisor/predecessor.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <stdexcept>
#include <utility>

#include "agent/sockets/inherited_sockets.hpp"
#include "agent/supervisor/handover.hpp"

namespace signalbox::supervisor {
namespace {

/// The number in the environment, which no child is to see; -1: there is none.
int take_variable() {
    const std::string name(kHandoverVariable);
    const char* text = std::getenv(name.c_str());
    const std::string value = text ? text : "";
    ::unsetenv(name.c_str());
    if (value.empty()) return -1;
    int descriptor = -1;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), descriptor);
    if (error != std::errc{} || end != value.data() + value.size() || descriptor < 0 ||
        ::fcntl(descriptor, F_SETFD, FD_CLOEXEC) != 0)
        throw std::runtime_error(fmt::format(
            "{}={} names no descriptor: leave it to an upgrade to set this variable", name, value));
    return descriptor;
}

}  // namespace

Predecessor::Predecessor() : socket_(take_variable()) {
    if (socket_ < 0) return;
    in_charge_ = true;
    receive_all();
}

Predecessor::~Predecessor() {
    for (int* descriptor : {&socket_, &segment_, &pid_file_, &errors_})
        close_if_open(*descriptor);
}

/// All of it was sent before this program was executed.
void Predecessor::receive_all() {
    for (;;) {
        const ReceivedRecord received = receive_record(socket_);
        if (received.kind == ReceivedRecord::Kind::garbage)
            throw std::runtime_error(
                fmt::format("the upgrade's predecessor sent {}: stop the group and start this program anew",
                            received.complaint));
        if (received.kind != ReceivedRecord::Kind::record)
            throw std::runtime_error(
                "the upgrade's predecessor has handed over only a part: stop the group and start this "
                "program "
                "anew");
        const std::vector<int>& descriptors = received.descriptors;
        switch (received.record.note) {
            case Note::sockets:
                for (std::size_t i = 0; i < descriptors.size(); ++i)
                    sockets::inherit_socket(
                        {descriptors[i], {received.record.addresses[i], received.record.address_bytes[i]}});
                break;
            case Note::segment:
            case Note::pid_file:
            case Note::errors: {
                int& place = received.record.note == Note::segment    ? segment_
                             : received.record.note == Note::pid_file ? pid_file_
                                                                      : errors_;
                for (const int descriptor : descriptors) {
                    close_if_open(place);
                    place = descriptor;
                }
                break;
            }
            case Note::all_told:
                return;
            default:
                // A later version may have more to say.
                for (const int descriptor : descriptors)
                    ::close(descriptor);
        }
    }
}

int Predecessor::take_pid_file() {
    return std::exchange(pid_file_, -1);
}

std::vector<int> Predecessor::descriptors() const {
    std::vector<int> all;
    for (const int descriptor : {socket_, segment_, pid_file_, errors_})
        if (descriptor >= 0) all.push_back(descriptor);
    return all;
}

void Predecessor::tell(Note note) {
    HandoverRecord record;
    record.note = note;
    // If it cannot be sent, the predecessor is dead, which hands_over() notices.
    if (socket_ >= 0) send_record(socket_, record);
}

void Predecessor::begin() {
    if (errors_ >= 0) ::dup2(errors_, STDERR_FILENO);
    close_if_open(errors_);
    close_if_open(pid_file_);
    tell(Note::running);
}

void Predecessor::say_ready() {
    if (!in_charge_ || std::exchange(ready_told_, true)) return;
    tell(Note::ready);
}

bool Predecessor::hands_over() {
    if (!in_charge_) return false;
    const ReceivedRecord received = receive_record(socket_);
    for (const int descriptor : received.descriptors)
        ::close(descriptor);
    switch (received.kind) {
        case ReceivedRecord::Kind::nothing:
            return false;
        case ReceivedRecord::Kind::garbage:
            return false;
        case ReceivedRecord::Kind::end:
            died_ = true;
            break;
        case ReceivedRecord::Kind::record:
            if (received.record.note != Note::take_over) return false;
            break;
    }
    in_charge_ = false;
    close_if_open(socket_);
    return true;
}

bool Predecessor::has_ended() const {
    // Each of its processes holds a lock on the segment.
    if (segment_ < 0) return true;
    if (::flock(segment_, LOCK_EX | LOCK_NB) != 0) return errno != EWOULDBLOCK;
    ::flock(segment_, LOCK_UN);
    return true;
}

void Predecessor::release() {
    close_if_open(segment_);
}

}  // namespace signalbox::supervisor
