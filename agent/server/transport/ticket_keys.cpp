#include "agent/server/transport/ticket_keys.hpp"

#include <sys/mman.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace signalbox::server {

namespace {

constexpr std::size_t kWords = sizeof(TicketKey) / sizeof(std::uint64_t);
static_assert(kWords * sizeof(std::uint64_t) == sizeof(TicketKey));
using Words = std::array<std::uint64_t, kWords>;

Words random_words() {
    Words words;
    std::size_t filled = 0;
    while (filled < sizeof words) {
        const ssize_t got =
            ::getrandom(reinterpret_cast<char*>(words.data()) + filled, sizeof words - filled, 0);
        if (got < 0 && errno != EINTR)
            throw std::system_error(errno, std::generic_category(),
                                    "random bytes for the keys of TLS tickets");
        if (got > 0) filled += static_cast<std::size_t>(got);
    }
    return words;
}

}  // namespace

/// One place more than keys are accepted: the one that is written next.
struct TicketKeys::Shared {
    using Place = std::array<std::atomic<std::uint64_t>, kWords>;
    static constexpr std::size_t kPlaces = TicketKeyRing::kAccepted + 1;

    std::atomic<std::uint64_t> due{0};         ///< when the next key is made; CLOCK_MONOTONIC, ns
    std::atomic<std::uint64_t> generation{0};  ///< of the newest key
    std::array<Place, kPlaces> places{};

    Place& at(std::uint64_t number) { return places[number % kPlaces]; }
};

std::optional<std::size_t> TicketKeyRing::find(std::span<const unsigned char, 16> name) const {
    for (std::size_t i = 0; i < count; ++i)
        if (std::ranges::equal(keys[i].name, name)) return i;
    return std::nullopt;
}

TicketKeys::TicketKeys(std::chrono::nanoseconds period)
    : period_(static_cast<std::uint64_t>(period.count())) {
    void* const memory =
        ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        throw std::system_error(errno, std::generic_category(), "memory for the keys of TLS tickets");
    ::madvise(memory, sizeof(Shared), MADV_DONTDUMP);  // a core file is not to hold them
    shared_ = new (memory) Shared;
    publish_new_key(0);
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    shared_->due = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + period_;
}

TicketKeys::~TicketKeys() {
    ::munmap(shared_, sizeof(Shared));
}

void TicketKeys::rotate_if_due(std::uint64_t now) {
    std::uint64_t due = shared_->due.load();
    const std::uint64_t generation = shared_->generation.load();
    if (now < due || !shared_->due.compare_exchange_strong(due, now + period_)) return;
    publish_new_key(generation);
}

void TicketKeys::publish_new_key(std::uint64_t generation) {
    const Words words = random_words();
    Shared::Place& fresh = shared_->at(generation + 1);
    for (std::size_t i = 0; i < kWords; ++i)
        fresh[i].store(words[i], std::memory_order_relaxed);
    if (!shared_->generation.compare_exchange_strong(generation, generation + 1)) return;
    for (auto& word : shared_->at(generation + 2))  // the oldest: its sessions are over
        word.store(0);
}

bool TicketKeys::copy_to(TicketKeyRing& ring) const {
    const std::uint64_t newest = shared_->generation.load(std::memory_order_acquire);
    if (newest == ring.generation) return true;
    TicketKeyRing copy;
    copy.generation = newest;
    copy.count = static_cast<std::size_t>(std::min<std::uint64_t>(newest, TicketKeyRing::kAccepted));
    for (std::size_t i = 0; i < copy.count; ++i) {
        Words words;
        const Shared::Place& place = shared_->at(newest - i);
        for (std::size_t word = 0; word < kWords; ++word)
            words[word] = place[word].load(std::memory_order_relaxed);
        std::memcpy(&copy.keys[i], words.data(), sizeof words);
    }
    std::atomic_thread_fence(std::memory_order_acquire);
    if (shared_->generation.load(std::memory_order_relaxed) != newest) return false;
    ring = copy;
    return true;
}

}  // namespace signalbox::server
