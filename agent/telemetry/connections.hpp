// The table of a worker's live connections: who is connected, what each is at, and since when.
//
//     ConnectionTable table(segment, seat);
//     ConnectionSlot slot = table.open("192.0.2.7:40122");
//     slot.enter(ConnectionState::handling, now);
//     slot.begin_request("POST /classify");
//
// A handful of relaxed stores per request, by the event loop's thread only. A worker with more connections than there
// are records serves the others unseen; how many these are is the seat's count of connections less those shown.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/telemetry/layout.hpp"

namespace signalbox::telemetry {

class Segment;
class ConnectionTable;

/// A connection's place in the table, given back with the object or by close().
class ConnectionSlot {
public:
    ConnectionSlot(ConnectionSlot&& other) noexcept;
    ConnectionSlot& operator=(ConnectionSlot&&) = delete;
    ~ConnectionSlot() { close(); }

    void enter(ConnectionState state, std::uint64_t now) {
        record_->since_monotonic_ns.store(now, std::memory_order_relaxed);
        record_->state.store(static_cast<std::uint32_t>(state), std::memory_order_relaxed);
    }
    /// `line` is cut at 40 bytes.
    void begin_request(std::string_view line);
    void count_request() {
        record_->requests.store(record_->requests.load(std::memory_order_relaxed) + 1,
                                std::memory_order_relaxed);
    }
    void received(std::uint64_t bytes) { add(record_->received_bytes, bytes); }
    void sent(std::uint64_t bytes) { add(record_->sent_bytes, bytes); }

    /// Nothing may be said about the connection any more.
    void close();

private:
    friend ConnectionTable;
    static constexpr std::uint32_t kNone = kConnectionRecords;

    ConnectionSlot(ConnectionTable& table, ConnectionRecord& record, std::uint32_t index)
        : table_(&table), record_(&record), index_(index) {}
    static void add(AtomicWord& word, std::uint64_t more) {
        word.store(word.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
    }

    ConnectionTable* table_;  ///< null: closed
    ConnectionRecord* record_;
    std::uint32_t index_;  ///< kNone: the spare record
};

/// The writer's side of a seat's table. Must outlive the slots.
class ConnectionTable {
public:
    ConnectionTable(Segment& segment, unsigned seat);
    ConnectionTable(const ConnectionTable&) = delete;
    ConnectionTable& operator=(const ConnectionTable&) = delete;

    /// `peer` is cut at 48 bytes. The connection is idle; if the table is full, it is not shown.
    ConnectionSlot open(std::string_view peer, std::uint64_t now);

private:
    friend ConnectionSlot;

    ConnectionRecord* records_;
    std::array<std::uint16_t, kConnectionRecords>
        vacant_;  ///< the lowest last, so that few pages are touched
    std::uint32_t vacant_count_ = kConnectionRecords;
    ConnectionRecord spare_{};  ///< what connections that have no record of their own write to
};

/// As a reader sees it. The texts are anybody's.
struct ConnectionInfo {
    std::uint32_t index = 0;  ///< in the table
    ConnectionState state = ConnectionState::vacant;
    std::uint64_t age_ns = 0;  ///< how long it has been in that state
    std::uint32_t requests = 0;
    std::uint64_t received_bytes = 0;
    std::uint64_t sent_bytes = 0;
    std::string peer;
    std::string request;  ///< the last one's first line; "": none, or its writer died in the middle of it
};

struct ConnectionList {
    std::vector<ConnectionInfo> shown;
    std::uint32_t unseen = 0;  ///< more that the worker has
};

/// "handling"
std::string_view state_name(ConnectionState state);

/// `open`: how many the worker says that it has; ages are counted until `now`. What makes no sense is left out.
ConnectionList read_connections(std::span<const ConnectionRecord> records, std::uint32_t open,
                                std::uint64_t now);

}  // namespace signalbox::telemetry
