#include "agent/telemetry/alternate_stack.hpp"

#include <sys/mman.h>
#include <unistd.h>

namespace signalbox::telemetry {
namespace {

/// The unwinder takes some 5 KiB, the registers of the largest processors 11, a sanitizer's code much more.
constexpr std::size_t kUsable = 128 * 1024;

}  // namespace

AlternateStack::AlternateStack() noexcept {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    bytes_ = kUsable + page;
    void* memory = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED) return;
    ::mprotect(memory, page, PROT_NONE);  // its own overflow must not reach anything else
    stack_t stack{};
    stack.ss_sp = static_cast<std::byte*>(memory) + page;
    stack.ss_size = kUsable;
    if (::sigaltstack(&stack, &before_) == 0)
        memory_ = memory;
    else
        ::munmap(memory, bytes_);
}

AlternateStack::~AlternateStack() {
    if (!memory_) return;
    ::sigaltstack(&before_, nullptr);
    ::munmap(memory_, bytes_);
}

}  // namespace signalbox::telemetry
