// The keys of session tickets, in memory that all workers of a group share, so that a session begun with one
// worker is resumed by any other. Not in the segment: readers map that.
//
//     TicketKeys keys(std::chrono::hours(1));       // before the fork
//     ...
//     TicketKeyRing ring;                           // in each worker
//     keys.rotate_if_due(now), keys.copy_to(ring);  // once a second
//
// There is no lock that a dying worker could hold. Whoever finds that the time has come claims the rotation
// by moving the due time forward, writes into the place that nobody uses, and publishes it by counting the
// generation up. A worker that dies in between costs one rotation. The words are atomic, so that a copy that
// races with a rotation is merely one that is thrown away.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace signalbox::server {

struct TicketKey {
    std::array<unsigned char, 16> name;
    std::array<unsigned char, 32> cipher;          ///< AES-256
    std::array<unsigned char, 32> authentication;  ///< HMAC-SHA-256
};

/// A worker's own copy: the newest first. Until the first rotations there are fewer than three.
struct TicketKeyRing {
    static constexpr std::size_t kAccepted = 3;
    std::array<TicketKey, kAccepted> keys;
    std::size_t count = 0;
    std::uint64_t generation = 0;  ///< of the newest; the first is 1

    /// Which of `keys` has this name.
    std::optional<std::size_t> find(std::span<const unsigned char, 16> name) const;
};

class TicketKeys {
public:
    /// Throws std::system_error when there is no memory.
    explicit TicketKeys(std::chrono::nanoseconds period);
    ~TicketKeys();
    TicketKeys(const TicketKeys&) = delete;
    TicketKeys& operator=(const TicketKeys&) = delete;

    /// Makes a new key if the newest is older than the period. Any process. `now`: CLOCK_MONOTONIC, ns.
    void rotate_if_due(std::uint64_t now);
    /// False, and `ring` stays as it is, if another process is rotating right now: the next second will do.
    bool copy_to(TicketKeyRing& ring) const;

private:
    struct Shared;
    void publish_new_key(std::uint64_t generation);

    const std::uint64_t period_;
    Shared* shared_;
};

}  // namespace signalbox::server
