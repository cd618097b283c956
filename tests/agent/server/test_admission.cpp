#include <QTest>
#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>

#include "agent/server/admission.hpp"

using signalbox::server::Admission;

namespace {

constexpr std::uint64_t kMillisecond = 1'000'000;
constexpr std::uint64_t kSecond = 1'000 * kMillisecond;
constexpr std::uint64_t kDeadline = 5 * kSecond;
constexpr std::uint64_t kBegin = 1'000 * kSecond;

/// A worker in a time of its own: connections come when the test says so, and each keeps the event loop for as long as
/// the test says.
class Simulation {
public:
    explicit Simulation(std::uint64_t service_ns) : service(service_ns) {}

    std::uint64_t service;  ///< of a connection, ns
    std::uint64_t now = kBegin;

    /// One connection comes. Whether it was let in.
    bool arrive() {
        const std::uint64_t oldest = waiting_.empty() ? 0 : waiting_.front();
        if (!admission.admits({pushed_, popped_, oldest}, kDeadline, now)) {
            ++refused;
            return false;
        }
        waiting_.push_back(now);
        ++pushed_;
        turn_if_free();
        return true;
    }

    void advance_to(std::uint64_t time) {
        while (free_at_ <= time && !waiting_.empty()) {
            now = std::max(now, free_at_);
            turn();
        }
        now = time;
        if (free_at_ <= now) idle_ns_ = now;
    }

    std::size_t waiting() const { return waiting_.size(); }
    std::uint64_t longest_wait = 0;
    unsigned refused = 0, given_up = 0, served = 0;
    Admission admission;

private:
    void turn_if_free() {
        if (free_at_ <= now) turn();
    }
    void turn() {
        admission.begin_turn(now - waiting_.front(), idle_ns_, now);
        free_at_ = now;
        unsigned taken = 0;
        for (const unsigned most = admission.batch(); taken < most && !waiting_.empty(); ++taken) {
            const std::uint64_t waited = free_at_ - waiting_.front();
            waiting_.pop_front();
            ++popped_;
            if (admission.gives_up(now - (free_at_ - waited), waiting_.size(), kDeadline)) {
                ++given_up;
                continue;
            }
            longest_wait = std::max(longest_wait, waited);
            ++served;
            free_at_ += service;
        }
        admission.took(taken);
    }

    std::deque<std::uint64_t> waiting_;
    std::uint64_t pushed_ = 0, popped_ = 0, free_at_ = 0, idle_ns_ = 0;
};

/// So many a second, evenly, for a while.
void load(Simulation& worker, double rate, std::uint64_t duration) {
    const std::uint64_t begin = worker.now;
    const auto count = static_cast<std::uint64_t>(rate * static_cast<double>(duration) / 1e9);
    for (std::uint64_t i = 0; i < count; ++i) {
        worker.advance_to(begin + i * duration / count);
        worker.arrive();
    }
    worker.advance_to(begin + duration);
}

}  // namespace

class AdmissionTest : public QObject {
    Q_OBJECT

private slots:
    void a_burst_is_let_in();
    void a_flood_is_refused_and_leaves_nothing_behind_data();
    void a_flood_is_refused_and_leaves_nothing_behind();
    void whoever_is_let_in_is_served_within_the_deadline();
    void a_load_that_can_be_served_is_served_data();
    void a_load_that_can_be_served_is_served();
    void a_hiccup_of_a_fast_worker_refuses_nobody();
    void one_turn_takes_no_more_than_a_moment();
};

void AdmissionTest::a_burst_is_let_in() {
    Simulation worker(100 * kMillisecond);
    for (int i = 0; i < 20; ++i)
        QVERIFY(worker.arrive());
    worker.advance_to(worker.now + 10 * kSecond);
    QCOMPARE(worker.served, 20u);
}

void AdmissionTest::a_flood_is_refused_and_leaves_nothing_behind_data() {
    QTest::addColumn<int>("fast_before");  // so many were served at once before
    QTest::newRow("a new worker") << 0;
    QTest::newRow("a worker that has been fast") << 1000;
}

void AdmissionTest::a_flood_is_refused_and_leaves_nothing_behind() {
    QFETCH(int, fast_before);
    Simulation worker(20'000);
    if (fast_before > 0) load(worker, 500, fast_before * 2 * kMillisecond);
    QCOMPARE(worker.refused, 0u);
    worker.service = 200 * kMillisecond;
    const unsigned served_before = worker.served;
    load(worker, 250, 5 * kSecond);
    const unsigned served = worker.served - served_before;
    QVERIFY2(served >= 25, qPrintable(QString::number(served)));  // it was never idle
    // Whoever comes now waits for the one that is being served, and perhaps for one more that came just before.
    QVERIFY2(worker.waiting() <= 1, qPrintable(QString::number(worker.waiting())));
}

void AdmissionTest::whoever_is_let_in_is_served_within_the_deadline() {
    for (const std::uint64_t service : {2, 20, 50, 200, 500}) {
        for (const double rate : {100, 1'000, 10'000}) {
            Simulation worker(service * kMillisecond);
            load(worker, rate, 10 * kSecond);
            worker.advance_to(worker.now + 60 * kSecond);
            QVERIFY2(worker.longest_wait <= kDeadline,
                     qPrintable(QString("%1 ms, %2/s: %3 ms")
                                    .arg(service)
                                    .arg(rate)
                                    .arg(worker.longest_wait / kMillisecond)));
        }
    }
}

void AdmissionTest::a_load_that_can_be_served_is_served_data() {
    QTest::addColumn<int>("service");  // µs
    QTest::addColumn<int>("rate");
    QTest::newRow("fast") << 30 << 20'000;
    QTest::newRow("half busy with short ones") << 5'000 << 100;
    QTest::newRow("nearly busy with long ones") << 200'000 << 4;
    QTest::newRow("nearly busy with short ones") << 1'000 << 900;
}

void AdmissionTest::a_load_that_can_be_served_is_served() {
    QFETCH(int, service);
    QFETCH(int, rate);
    Simulation worker(static_cast<std::uint64_t>(service) * 1'000);
    load(worker, rate, 20 * kSecond);
    QCOMPARE(worker.refused + worker.given_up, 0u);
}

void AdmissionTest::a_hiccup_of_a_fast_worker_refuses_nobody() {
    Simulation worker(30'000);
    load(worker, 1'000, kSecond);
    worker.service = 100 * kMillisecond;
    worker.arrive();
    worker.service = 30'000;
    load(worker, 1'000, kSecond);
    QCOMPARE(worker.refused + worker.given_up, 0u);
    QVERIFY(worker.longest_wait > 50 * kMillisecond);  // it was one
}

void AdmissionTest::one_turn_takes_no_more_than_a_moment() {
    Simulation slow(50 * kMillisecond);
    load(slow, 100, kSecond);
    QCOMPARE(slow.admission.batch(), 1u);
    Simulation fast(20'000);
    load(fast, 1'000, kSecond);
    QCOMPARE(fast.admission.batch(), 16u);
}

QTEST_APPLESS_MAIN(AdmissionTest)
#include "test_admission.moc"
