#include "agent/server/wakeups.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

namespace signalbox::server {

Wakeups::Wakeups(unsigned slots) {
    descriptors_.reserve(slots);
    for (unsigned slot = 0; slot < slots; ++slot) {
        const int descriptor = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (descriptor < 0)
            throw std::system_error(errno, std::generic_category(), "eventfd of a worker's slot");
        descriptors_.push_back(descriptor);
    }
}

Wakeups::~Wakeups() {
    for (const int descriptor : descriptors_)
        ::close(descriptor);
}

void Wakeups::wake(unsigned slot) const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(of(slot), &one, sizeof one);
}

}  // namespace signalbox::server
