// Session tickets: their keys as several processes see them, and sessions resumed by another worker.
#include <sys/wait.h>
#include <unistd.h>

#include <QTemporaryDir>
#include <QTest>

#include "agent/server/transport/ticket_keys.hpp"
#include "agent/telemetry/seat.hpp"
#include "server_test_main.hpp"
#include "tests/support/certificates.hpp"
#include "worker_process.hpp"

using namespace signalbox;
using namespace std::chrono_literals;
using server::TicketKeyRing;
using server::TicketKeys;

namespace {

constexpr auto kPeriod = std::chrono::nanoseconds(1h);

std::uint64_t after(std::chrono::nanoseconds time) {
    return telemetry::monotonic_ns() + static_cast<std::uint64_t>(time.count());
}

TicketKeyRing copy_of(const TicketKeys& keys) {
    TicketKeyRing ring;
    while (!keys.copy_to(ring)) {
    }
    return ring;
}

}  // namespace

class TlsSessionsTest : public QObject {
    Q_OBJECT

private slots:
    void the_first_key_lasts_for_a_period();
    void the_two_former_keys_are_accepted();
    void a_rotation_in_another_process_is_seen();
    void keys_are_made_once_by_however_many_processes();

    void another_worker_resumes_a_session_data();
    void another_worker_resumes_a_session();
    void a_session_outlives_a_rotation();
    void a_session_is_over_when_its_key_is_gone();
    void a_session_of_another_server_is_not_resumed();

private:
    /// What s_client says when it is made to end after an answer.
    ProgramOutput get(WorkerProcesses& workers, const QStringList& more) const {
        return s_client(workers.address(), QStringList{"-ign_eof"} + more,
                        "GET /pid HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    }
    QStringList save() const { return {"-sess_out", directory_.filePath("session")}; }
    QStringList resume() const { return {"-sess_in", directory_.filePath("session")}; }

    Certificates certificates_;
    QTemporaryDir directory_;
};

void TlsSessionsTest::the_first_key_lasts_for_a_period() {
    TicketKeys keys(kPeriod);
    const TicketKeyRing first = copy_of(keys);
    QCOMPARE(first.count, 1u);
    keys.rotate_if_due(after(kPeriod - 1min));
    QCOMPARE(copy_of(keys).generation, first.generation);
    keys.rotate_if_due(after(kPeriod));
    const TicketKeyRing second = copy_of(keys);
    QCOMPARE(second.count, 2u);
    QVERIFY(second.keys[0].name != first.keys[0].name);
    QVERIFY(second.keys[0].cipher != first.keys[0].cipher);
    QVERIFY(second.keys[0].authentication != first.keys[0].authentication);
    QVERIFY(second.keys[1].cipher == first.keys[0].cipher);
}

void TlsSessionsTest::the_two_former_keys_are_accepted() {
    TicketKeys keys(kPeriod);
    const TicketKeyRing first = copy_of(keys);
    for (std::size_t rotations = 1; rotations <= 6; ++rotations) {
        keys.rotate_if_due(after(rotations * kPeriod));
        const TicketKeyRing ring = copy_of(keys);
        QCOMPARE(ring.count, std::min<std::size_t>(rotations + 1, 3));
        const auto found = ring.find(first.keys[0].name);
        QCOMPARE(found.has_value(), rotations <= 2);
        if (found) QCOMPARE(*found, rotations);
    }
}

void TlsSessionsTest::a_rotation_in_another_process_is_seen() {
    TicketKeys keys(kPeriod);
    const TicketKeyRing before = copy_of(keys);
    const pid_t child = ::fork();
    if (child == 0) {
        keys.rotate_if_due(after(kPeriod));
        ::_exit(0);
    }
    ::waitpid(child, nullptr, 0);
    const TicketKeyRing now = copy_of(keys);
    QCOMPARE(now.generation, before.generation + 1);
    QVERIFY(now.find(before.keys[0].name).has_value());
}

void TlsSessionsTest::keys_are_made_once_by_however_many_processes() {
    TicketKeys keys(kPeriod);
    std::vector<pid_t> children;
    for (int i = 0; i < 8; ++i) {
        children.push_back(::fork());
        if (children.back() == 0) {
            for (int rotation = 1; rotation <= 100; ++rotation)
                keys.rotate_if_due(after(rotation * kPeriod));
            TicketKeyRing ring;
            ::_exit(keys.copy_to(ring) && ring.count != 3 ? 1 : 0);
        }
    }
    for (const pid_t child : children) {
        int status = 1;
        ::waitpid(child, &status, 0);
        QCOMPARE(status, 0);
    }
    // One for each hour that has passed, at most: whoever comes late finds the time moved on.
    const TicketKeyRing ring = copy_of(keys);
    QVERIFY(ring.generation > 50 && ring.generation <= 101);
}

void TlsSessionsTest::another_worker_resumes_a_session_data() {
    QTest::addColumn<QString>("version");
    QTest::newRow("TLS 1.2") << "-tls1_2";
    QTest::newRow("TLS 1.3") << "-tls1_3";
}

void TlsSessionsTest::another_worker_resumes_a_session() {
    QFETCH(QString, version);
    WorkerProcesses workers(test_router(), {.tls = server_tls(certificates_)});
    for (unsigned seat = 0; seat < 4; ++seat)
        workers.start(seat);
    for (unsigned seat = 1; seat < 4; ++seat)
        workers.pause(seat);
    QVERIFY(get(workers, save() + QStringList{version}).out.contains("New, "));
    for (unsigned seat = 0; seat < 3; ++seat) {
        workers.pause(seat);
        workers.signal(seat + 1, SIGCONT);
        // Each resumes what its predecessor has left.
        const QByteArray out = get(workers, resume() + save() + QStringList{version}).out;
        QVERIFY2(out.contains("Reused, "), out.constData());
        QVERIFY(out.contains(QByteArray::number(workers.seat(seat + 1).pid.load())));
    }
    QCOMPARE(workers.counter("tls_handshakes_total", {{"result", "full"}}), 1u);
    QCOMPARE(workers.counter("tls_handshakes_total", {{"result", "resumed"}}), 3u);
}

void TlsSessionsTest::a_session_outlives_a_rotation() {
    WorkerProcesses workers(test_router(), {.tls = server_tls(certificates_)});
    workers.start(0);
    QVERIFY(get(workers, save()).out.contains("New, "));
    workers.rotate_ticket_keys();
    QVERIFY(get(workers, resume()).out.contains("Reused, "));
    workers.start(1);  // knows the new key from the beginning
    workers.pause(0);
    QVERIFY(get(workers, resume()).out.contains("Reused, "));
}

void TlsSessionsTest::a_session_is_over_when_its_key_is_gone() {
    WorkerProcesses workers(test_router(), {.tls = server_tls(certificates_)});
    workers.start(0);
    QVERIFY(get(workers, save()).out.contains("New, "));
    for (int i = 0; i < 3; ++i)
        workers.rotate_ticket_keys();
    QTRY_VERIFY_WITH_TIMEOUT(get(workers, resume()).out.contains("New, "), 20'000);
}

void TlsSessionsTest::a_session_of_another_server_is_not_resumed() {
    WorkerProcesses one(test_router(), {.tls = server_tls(certificates_)});
    WorkerProcesses other(test_router(), {.tls = server_tls(certificates_)});
    one.start();
    other.start();
    QVERIFY(get(one, save()).out.contains("New, "));
    QVERIFY(get(other, resume()).out.contains("New, "));
    QVERIFY(get(one, resume()).out.contains("Reused, "));
}

SERVER_TEST_MAIN(TlsSessionsTest)
#include "test_tls_sessions.moc"
