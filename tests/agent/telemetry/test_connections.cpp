// The table of live connections, from its writer to its reader.
#include <sys/wait.h>
#include <unistd.h>

#include <QtTest>
#include <csignal>
#include <random>
#include <thread>

#include "agent/telemetry/connections.hpp"
#include "agent/telemetry/retire.hpp"
#include "agent/telemetry/seat.hpp"
#include "agent/telemetry/view.hpp"
#include "tests/agent/telemetry/totals.hpp"

using namespace signalbox;
using namespace signalbox::telemetry;

namespace {

constexpr unsigned kSeat = 2;

struct Fixture {
    Fixture() { tests::occupy(telemetry, kSeat, 5, static_cast<std::uint32_t>(::getpid())); }

    Segment& segment() { return telemetry.segment(); }
    void set_open(std::uint32_t count) { segment().seat(kSeat)->connections = count; }
    ConnectionList read() { return SegmentView(segment().descriptor()).connections(kSeat); }

    Telemetry telemetry{{.group = "connected", .max_workers = 2}};
};

std::uint64_t now() {
    return monotonic_ns();
}

}  // namespace

class TestConnections : public QObject {
    Q_OBJECT
private slots:
    void a_connection_shows_what_it_is_at();
    void texts_are_cut();
    void a_closed_connection_is_gone_and_its_place_is_taken_again();
    void connections_beyond_the_table_are_counted();
    void a_retired_seat_has_none();
    void a_worker_killed_in_the_middle_of_a_write_shows_all_but_the_request();
    void a_reader_sees_no_half_written_request();
    void random_records_do_no_harm();
};

void TestConnections::a_connection_shows_what_it_is_at() {
    Fixture fixture;
    ConnectionTable table(fixture.segment(), kSeat);
    ConnectionSlot slot = table.open("192.0.2.7:40122", now());
    fixture.set_open(1);
    QCOMPARE(fixture.read().shown.size(), 1u);
    QVERIFY(fixture.read().shown[0].state == ConnectionState::idle);
    QCOMPARE(fixture.read().shown[0].request, std::string());

    slot.enter(ConnectionState::handling, now());
    slot.begin_request("POST /classify");
    slot.count_request();
    slot.received(100);
    slot.received(20);
    slot.sent(7);
    const ConnectionList list = fixture.read();
    QCOMPARE(list.unseen, 0u);
    const ConnectionInfo& seen = list.shown.at(0);
    QVERIFY(seen.state == ConnectionState::handling);
    QCOMPARE(seen.peer, std::string("192.0.2.7:40122"));
    QCOMPARE(seen.request, std::string("POST /classify"));
    QCOMPARE(seen.requests, 1u);
    QCOMPARE(seen.received_bytes, 120u);
    QCOMPARE(seen.sent_bytes, 7u);
    slot.begin_request("GET /");
    QCOMPARE(fixture.read().shown.at(0).request, std::string("GET /"));
}

void TestConnections::texts_are_cut() {
    Fixture fixture;
    ConnectionTable table(fixture.segment(), kSeat);
    ConnectionSlot slot = table.open(std::string(300, 'p'), now());
    slot.begin_request(std::string(300, 'r'));
    QCOMPARE(fixture.read().shown.at(0).peer, std::string(48, 'p'));
    QCOMPARE(fixture.read().shown.at(0).request, std::string(40, 'r'));
    slot.begin_request("");
    QCOMPARE(fixture.read().shown.at(0).request, std::string());
}

void TestConnections::a_closed_connection_is_gone_and_its_place_is_taken_again() {
    Fixture fixture;
    ConnectionTable table(fixture.segment(), kSeat);
    std::vector<ConnectionSlot> places;
    for (int i = 0; i < 3; ++i)
        places.push_back(table.open("peer " + std::to_string(i), now()));
    places[1].begin_request("GET /old");
    places[1].count_request();
    places[1].close();
    places[1].close();
    QCOMPARE(fixture.read().shown.size(), 2u);
    const ConnectionSlot next = table.open("another", now());
    const ConnectionList list = fixture.read();
    QCOMPARE(list.shown.size(), 3u);
    QCOMPARE(list.shown[1].peer, std::string("another"));
    QCOMPARE(list.shown[1].request, std::string());
    QCOMPARE(list.shown[1].requests, 0u);
    places.clear();
    QCOMPARE(fixture.read().shown.size(), 1u);
}

void TestConnections::connections_beyond_the_table_are_counted() {
    Fixture fixture;
    ConnectionTable table(fixture.segment(), kSeat);
    std::vector<ConnectionSlot> places;
    for (unsigned i = 0; i < kConnectionRecords + 44; ++i) {
        places.push_back(table.open(std::to_string(i), now()));
        places.back().begin_request("GET /");
        places.back().enter(ConnectionState::handling, now());
    }
    fixture.set_open(static_cast<std::uint32_t>(places.size()));
    QCOMPARE(fixture.read().shown.size(), std::size_t{kConnectionRecords});
    QCOMPARE(fixture.read().unseen, 44u);
    for (unsigned i = 0; i < kConnectionRecords; ++i)
        QCOMPARE(fixture.read().shown[i].peer, std::to_string(i));
    places.clear();
    for (unsigned i = 0; i < kConnectionRecords; ++i)  // each place came back once
        places.push_back(table.open("again", now()));
    fixture.set_open(kConnectionRecords);
    QCOMPARE(fixture.read().shown.size(), std::size_t{kConnectionRecords});
    QCOMPARE(fixture.read().unseen, 0u);
}

void TestConnections::a_retired_seat_has_none() {
    Fixture fixture;
    ConnectionTable table(fixture.segment(), kSeat);
    const ConnectionSlot slot = table.open("192.0.2.7:40122", now());
    retire_seat(fixture.segment(), kSeat);
    QCOMPARE(fixture.read().shown.size(), 0u);
    tests::occupy(fixture.telemetry, kSeat, 6, 4242);
    QCOMPARE(fixture.read().shown.size(), 0u);
}

void TestConnections::a_worker_killed_in_the_middle_of_a_write_shows_all_but_the_request() {
    Fixture fixture;
    ConnectionTable table(fixture.segment(), kSeat);
    ConnectionSlot slot = table.open("192.0.2.7:40122", now());
    slot.begin_request("GET /half");
    fixture.segment().connections(kSeat)[0].sequence |= 1;
    QCOMPARE(fixture.read().shown.at(0).peer, std::string("192.0.2.7:40122"));
    QCOMPARE(fixture.read().shown.at(0).request, std::string());
    slot.begin_request("GET /whole");
    QCOMPARE(fixture.read().shown.at(0).request, std::string("GET /whole"));
}

void TestConnections::a_reader_sees_no_half_written_request() {
    Fixture fixture;
    const pid_t writer = ::fork();
    if (writer == 0) {
        ConnectionTable table(fixture.segment(), kSeat);
        ConnectionSlot slot = table.open("192.0.2.7:40122", now());
        for (unsigned i = 0;; ++i)
            slot.begin_request(std::string(40 - i % 20, static_cast<char>('a' + i % 20)));
    }
    const SegmentView view(fixture.segment().descriptor());
    for (int seen = 0; seen < 20'000;) {
        const ConnectionList list = view.connections(kSeat);
        if (list.shown.empty() || list.shown[0].request.empty()) continue;
        const std::string& request = list.shown[0].request;
        ++seen;
        QCOMPARE(request.size(), std::size_t(40 - (request[0] - 'a')));
        QVERIFY(request.find_first_not_of(request[0]) == std::string::npos);
    }
    ::kill(writer, SIGKILL);
    ::waitpid(writer, nullptr, 0);
}

void TestConnections::random_records_do_no_harm() {
    Fixture fixture;
    std::mt19937_64 random(1);
    for (int round = 0; round < 200; ++round) {
        auto* words = reinterpret_cast<std::uint64_t*>(fixture.segment().connections(kSeat));
        for (std::size_t i = 0; i < kConnectionRecords * sizeof(ConnectionRecord) / 8; ++i)
            words[i] = random() & (round % 2 == 0 ? ~0ull : 0x0000'0003'0000'0003ull);
        for (const ConnectionInfo& connection : fixture.read().shown) {
            QVERIFY(connection.peer.size() <= 48);
            QVERIFY(connection.request.size() <= 40);
            QVERIFY(state_name(connection.state) != "vacant");
        }
    }
}

QTEST_GUILESS_MAIN(TestConnections)
#include "test_connections.moc"
