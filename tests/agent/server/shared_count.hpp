// A number that a test and the workers it forks see alike.
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <cstdint>
#include <new>

class SharedCount {
public:
    SharedCount()
        : count_(new (::mmap(nullptr, sizeof(std::atomic<std::uint64_t>), PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0)) std::atomic<std::uint64_t>(0)) {}
    ~SharedCount() { ::munmap(count_, sizeof *count_); }
    SharedCount(const SharedCount&) = delete;
    SharedCount& operator=(const SharedCount&) = delete;

    std::atomic<std::uint64_t>& operator*() { return *count_; }

private:
    std::atomic<std::uint64_t>* const count_;
};
