// A segment that a broken process has scribbled over, or that is cut short: no reader crashes, hangs or takes memory
// without bound, and what was not touched is read rightly.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <QTemporaryDir>
#include <QtTest>
#include <array>
#include <cstring>
#include <functional>
#include <random>

#include "agent/telemetry/quarantine.hpp"
#include "tests/agent/inspect/reading.hpp"
#include "tests/agent/telemetry/recorded_segment.hpp"
#include "tests/agent/telemetry/totals.hpp"

using namespace signalbox;
using namespace signalbox::telemetry;
using tests::read_everything;
using tests::RecordedSegment;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;  // its shadow memory needs all of the address space
#else
constexpr bool kSanitized = false;
#endif

/// Runs `body` in a child that may take little memory and time; says what it was at when it did not end well.
class Trial {
public:
    Trial() {
        note_ = static_cast<char*>(
            ::mmap(nullptr, kNote, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    }
    ~Trial() { ::munmap(note_, kNote); }
    Trial(const Trial&) = delete;
    Trial& operator=(const Trial&) = delete;

    /// Says what comes now.
    void note(const std::string& what) { std::strncpy(note_, what.c_str(), kNote - 1); }

    QByteArray run(const std::function<void()>& body) {
        const pid_t child = ::fork();
        if (child == 0) {
            const rlimit memory{std::size_t{512} << 20, std::size_t{512} << 20};
            if (!kSanitized) ::setrlimit(RLIMIT_AS, &memory);
            const rlimit no_core{0, 0};
            ::setrlimit(RLIMIT_CORE, &no_core);
            ::alarm(280);
            body();
            ::_exit(0);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        return status == 0 ? QByteArray()
                           : QByteArray("status ") + QByteArray::number(status) + " at " + note_;
    }

private:
    static constexpr std::size_t kNote = 4096;
    char* note_;
};

void require(bool condition) {
    if (!condition) std::abort();
}

struct Area {
    const char* name;
    std::uint64_t offset;
    std::uint64_t bytes;
};

std::vector<Area> areas_of(Segment& segment) {
    const Geometry& g = segment.geometry();
    std::vector<Area> areas = {{"header", 0, sizeof(Header)},
                               {"directory", g.directory_offset, 5 * sizeof(DirectoryEntry)},
                               {"group", g.group_offset, sizeof(telemetry::Group)},
                               {"settings", g.settings_offset, 3 * sizeof(telemetry::SettingEntry)},
                               {"kept crash", g.crashes_offset, 1024},
                               {"group ring", g.group_ring_offset, 4 * sizeof(EventRecord)}};
    for (const unsigned seat : {2u, g.seat_count - 1}) {
        const std::uint64_t start = segment.offset_of(segment.seat(seat));
        areas.push_back({"seat", start, sizeof(telemetry::Seat)});
        areas.push_back({"crash", start + g.seat_crash_offset, 1024});
        areas.push_back(
            {"connections", start + g.seat_connections_offset, 4 * sizeof(telemetry::ConnectionRecord)});
        areas.push_back({"ring", start + g.seat_ring_offset, 16 * sizeof(EventRecord)});
        areas.push_back({"heads", segment.offset_of(segment.lane(seat, 0)), 1024});
        areas.push_back({"buckets", segment.offset_of(segment.lane(seat, 0)) + g.buckets_start,
                         sizeof(detail::DistributionBuckets)});
    }
    return areas;
}

/// Overwrites a few bytes, and puts them back at the end.
class Damage {
public:
    Damage(RecordedSegment& segment, std::uint64_t offset, std::string_view bytes)
        : place_(segment.bytes() + offset), before_(reinterpret_cast<char*>(place_), bytes.size()) {
        std::memcpy(place_, bytes.data(), bytes.size());
    }
    ~Damage() { std::memcpy(place_, before_.data(), before_.size()); }
    Damage(const Damage&) = delete;
    Damage& operator=(const Damage&) = delete;

private:
    std::uint8_t* place_;
    std::string before_;
};

std::string random_bytes(std::mt19937_64& random, std::size_t size) {
    std::string bytes(size, '\0');
    for (char& byte : bytes)
        byte = static_cast<char>(random());
    return bytes;
}

}  // namespace

class TestHostileSegment : public QObject {
    Q_OBJECT
private slots:
    void the_recorded_segment_is_sound();
    void flipped_bits_do_no_harm();
    void fields_of_zeros_ones_and_anything_do_no_harm();
    void pages_of_anything_do_no_harm();
    void a_file_cut_at_any_page_is_refused();
    void a_copy_survives_the_truncation_of_its_file();
    void a_memfd_cannot_be_truncated();
    void the_other_workers_figures_stay_right_when_a_seat_is_scribbled_over();
    void the_other_instruments_stay_right_when_an_entry_is_scribbled_over();
};

void TestHostileSegment::the_recorded_segment_is_sound() {
    RecordedSegment segment;
    const tests::Reading reading = read_everything(segment.segment().descriptor());
    QVERIFY(!reading.refused);
    QCOMPARE(reading.violations, 0u);
    QVERIFY(reading.text.find("letters_total") != std::string::npos);
}

void TestHostileSegment::flipped_bits_do_no_harm() {
    Trial trial;
    const QByteArray failure = trial.run([&trial] {
        RecordedSegment segment;
        std::mt19937_64 random(1);
        for (const Area& area : areas_of(segment.segment())) {
            for (int i = 0; i < 60; ++i) {
                // Every byte of the header, some of the others.
                const std::uint64_t at = area.offset == 0 ? static_cast<std::uint64_t>(i) * 7 % area.bytes
                                                          : area.offset + random() % area.bytes;
                const auto flipped = static_cast<char>(segment.bytes()[at] ^ (1u << random() % 8));
                trial.note(QString("%1, byte %2").arg(area.name).arg(at).toStdString());
                const Damage damage(segment, at, {&flipped, 1});
                read_everything(segment.segment().descriptor());
            }
        }
    });
    QVERIFY2(failure.isEmpty(), failure);
}

void TestHostileSegment::fields_of_zeros_ones_and_anything_do_no_harm() {
    Trial trial;
    const QByteArray failure = trial.run([&trial] {
        RecordedSegment segment;
        std::mt19937_64 random(2);
        for (const Area& area : areas_of(segment.segment())) {
            for (int i = 0; i < 60; ++i) {
                const std::size_t size = i % 2 == 0 ? 4 : 8;
                const std::uint64_t at = area.offset + random() % (area.bytes / size) * size;
                std::string bytes = random_bytes(random, size);
                if (i % 3 == 0) bytes.assign(size, '\0');
                if (i % 3 == 1) bytes.assign(size, '\xff');
                trial.note(
                    QString("%1, field at %2, way %3").arg(area.name).arg(at).arg(i % 3).toStdString());
                const Damage damage(segment, at, bytes);
                read_everything(segment.segment().descriptor());
            }
        }
    });
    QVERIFY2(failure.isEmpty(), failure);
}

void TestHostileSegment::pages_of_anything_do_no_harm() {
    Trial trial;
    const QByteArray failure = trial.run([&trial] {
        RecordedSegment segment;
        std::mt19937_64 random(3);
        const std::uint64_t pages = segment.size() / kPage;
        for (int i = 0; i < 200; ++i) {
            // The first page holds the geometry, which is refused at once: seldom that one.
            const std::uint64_t page = i % 50 == 0 ? 0 : 1 + random() % (pages - 1);
            trial.note(QString("page %1").arg(page).toStdString());
            const Damage damage(segment, page * kPage, random_bytes(random, kPage));
            read_everything(segment.segment().descriptor());
        }
    });
    QVERIFY2(failure.isEmpty(), failure);
}

void TestHostileSegment::a_file_cut_at_any_page_is_refused() {
    QTemporaryDir directory;
    const std::string path = directory.filePath("segment").toStdString();
    const RecordedSegment segment(path);
    const std::string copy = directory.filePath("copy").toStdString();
    QVERIFY(QFile::copy(QString::fromStdString(path), QString::fromStdString(copy)));
    const int descriptor = ::open(copy.c_str(), O_RDWR | O_CLOEXEC);
    for (auto size = static_cast<off_t>(QFileInfo(directory.filePath("copy")).size()) - 1; size >= 0;
         size -= kPage) {
        QCOMPARE(::ftruncate(descriptor, size), 0);
        QVERIFY(read_everything(descriptor).refused);
    }
    ::close(descriptor);
}

void TestHostileSegment::a_copy_survives_the_truncation_of_its_file() {
    QTemporaryDir directory;
    const std::string path = directory.filePath("segment").toStdString();
    const RecordedSegment segment(path);
    Trial trial;
    const QByteArray failure = trial.run([&path] {
        const SegmentView view(path, SegmentView::Hold::copy);
        require(::truncate(path.c_str(), 0) == 0);
        tests::Totals totals(view);
        totals.collect();
        require(totals.counter("letters_total{verdict=\"ham\"}") > 0);
        require(view.workers().size() == 3);
    });
    QVERIFY2(failure.isEmpty(), failure);
}

void TestHostileSegment::a_memfd_cannot_be_truncated() {
    RecordedSegment segment;
    QCOMPARE(::ftruncate(segment.segment().descriptor(), 0), -1);
    QCOMPARE(errno, EPERM);
}

void TestHostileSegment::the_other_workers_figures_stay_right_when_a_seat_is_scribbled_over() {
    std::mt19937_64 random(4);
    for (int round = 0; round < 20; ++round) {
        RecordedSegment segment;
        SegmentView view(segment.segment().descriptor());
        Collector collector(view);
        const std::uint64_t start = segment.segment().offset_of(segment.segment().seat(2));
        const std::string scribble = random_bytes(random, segment.segment().geometry().seat_stride);
        std::memcpy(segment.bytes() + start, scribble.data(), scribble.size());

        const auto workers = view.workers();
        QCOMPARE(workers.size(), 2u);
        QCOMPARE(workers[0].pid, 4100u);
        QCOMPARE(workers[1].pid, 4104u);
        const wire::Tick tick = collector.collect();
        QCOMPARE(tick.series.size(), 4u);  // two workers, the departed, and what is known of the group only
        for (std::size_t i = 0; i < 3; ++i) {
            const auto expected = i == 2 ? tests::kDepartedLetters : tests::letters_of(workers[i].slot * 2);
            QCOMPARE(std::get<wire::CounterDelta>(tick.series[i].samples[0].value).increase, expected);
        }
        const auto faults = find_faults(view);
        QCOMPARE(faults.size(), 1u);
        QVERIFY2(faults[0].text.starts_with("seat 2: "), faults[0].text.c_str());
    }
}

void TestHostileSegment::the_other_instruments_stay_right_when_an_entry_is_scribbled_over() {
    std::mt19937_64 random(5);
    for (int round = 0; round < 100; ++round) {
        RecordedSegment segment;
        DirectoryEntry& entry = segment.segment().entry(2);  // a duration
        const std::string scribble = random_bytes(random, sizeof entry);
        std::memcpy(reinterpret_cast<void*>(&entry), scribble.data(), scribble.size());
        entry.state = static_cast<std::uint64_t>(EntryState::ready);
        SegmentView view(segment.segment().descriptor());
        tests::Totals totals(view);
        totals.collect();
        QCOMPARE(
            totals.counter("letters_total{verdict=\"ham\"}"),
            tests::kDepartedLetters + tests::letters_of(0) + tests::letters_of(2) + tests::letters_of(4));
        QCOMPARE(totals.distribution("letter_bytes").count(), 4u * 201);
        QCOMPARE(find_faults(view).size(), 1u);
    }
}

QTEST_GUILESS_MAIN(TestHostileSegment)
#include "test_hostile_segment.moc"
