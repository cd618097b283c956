// Where a group's segment lies: one file for each live group, the last one kept.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <QFile>
#include <QTemporaryDir>
#include <QtTest>
#include <memory>

#include "agent/black_box.hpp"
#include "agent/telemetry/segment.hpp"
#include "agent/telemetry/view.hpp"

using namespace signalbox;

namespace {

/// A group as far as its segment goes.
struct Recorder {
    explicit Recorder(GroupOptions options)
        : box(options), telemetry({.group = options.name, .max_workers = 1, .path = box.path()}) {
        box.hold(telemetry.segment().descriptor());
    }
    std::string boot_id() { return telemetry::SegmentView(telemetry.segment().descriptor()).boot_id(); }

    BlackBox box;
    Telemetry telemetry;
};

GroupOptions named(const std::string& name) {
    GroupOptions options;
    options.name = name;
    return options;
}

}  // namespace

class TestBlackBox : public QObject {
    Q_OBJECT
private slots:
    void init();
    void by_default_it_is_a_file_in_the_runtime_directory();
    void the_last_one_is_kept();
    void a_live_groups_file_is_left_alone();
    void a_childs_life_is_enough_to_hold_the_file();
    void a_given_path_is_used_and_its_last_file_kept();
    void a_name_cannot_leave_the_directory();
    void without_a_place_it_is_anonymous_with_a_warning();
    void anonymous_memory_is_taken_when_asked_for();

private:
    std::string at(const char* name) const { return directory_->filePath("signalbox/").toStdString() + name; }
    std::unique_ptr<QTemporaryDir> directory_;
};

void TestBlackBox::init() {
    directory_ = std::make_unique<QTemporaryDir>();
    qputenv("XDG_RUNTIME_DIR", directory_->path().toUtf8());
}

void TestBlackBox::by_default_it_is_a_file_in_the_runtime_directory() {
    Recorder recorder(named("mailroom"));
    QCOMPARE(recorder.box.path(), at("mailroom.segment"));
    QVERIFY(recorder.box.warning().empty());
    struct stat status {};
    QCOMPARE(::stat(at("mailroom.segment").c_str(), &status), 0);
    QCOMPARE(status.st_mode & 0777, 0600u);
    QCOMPARE(::stat(at("").c_str(), &status), 0);
    QCOMPARE(status.st_mode & 0777, 0700u);
}

void TestBlackBox::the_last_one_is_kept() {
    std::string last;
    for (int life = 0; life < 3; ++life) {
        Recorder recorder(named("mailroom"));
        QCOMPARE(recorder.box.path(), at("mailroom.segment"));
        if (life > 0) QCOMPARE(telemetry::SegmentView(at("mailroom.segment.previous")).boot_id(), last);
        last = recorder.boot_id();
    }
    QCOMPARE(telemetry::SegmentView(at("mailroom.segment")).boot_id(), last);
}

void TestBlackBox::a_live_groups_file_is_left_alone() {
    Recorder first(named("mailroom"));
    const std::string own = at(("mailroom-" + std::to_string(::getpid()) + ".segment").c_str());
    {
        Recorder second(named("mailroom"));
        QCOMPARE(second.box.path(), own);
        QVERIFY(second.box.warning().find("Another group has") != std::string::npos);
        QCOMPARE(telemetry::SegmentView(at("mailroom.segment")).boot_id(), first.boot_id());
    }
    QVERIFY(!QFile::exists(QString::fromStdString(own)));
    QVERIFY(QFile::exists(QString::fromStdString(at("mailroom.segment"))));
}

void TestBlackBox::a_childs_life_is_enough_to_hold_the_file() {
    auto first = std::make_unique<Recorder>(named("mailroom"));
    const int child = ::dup(first->telemetry.segment().descriptor());  // as fork() does it
    first.reset();
    QVERIFY(BlackBox(named("mailroom")).path() != at("mailroom.segment"));
    ::close(child);
    QCOMPARE(BlackBox(named("mailroom")).path(), at("mailroom.segment"));
}

void TestBlackBox::a_given_path_is_used_and_its_last_file_kept() {
    GroupOptions options = named("mailroom");
    options.segment_path = directory_->filePath("box").toStdString();
    { Recorder first(options); }
    Recorder second(options);
    QCOMPARE(second.box.path(), options.segment_path);
    QVERIFY(QFile::exists(directory_->filePath("box.previous")));
    QCOMPARE(BlackBox(options).path(), options.segment_path + "-" + std::to_string(::getpid()));
}

void TestBlackBox::a_name_cannot_leave_the_directory() {
    QCOMPARE(BlackBox(named("../../etc/passwd")).path(), at("_._.._etc_passwd.segment"));
}

void TestBlackBox::without_a_place_it_is_anonymous_with_a_warning() {
    QFile file(directory_->filePath("signalbox"));  // where the directory should be
    QVERIFY(file.open(QFile::WriteOnly));
    Recorder recorder(named("mailroom"));
    QVERIFY(recorder.box.path().empty());
    QVERIFY2(recorder.box.warning().find("is not this user's directory") != std::string::npos,
             recorder.box.warning().c_str());
}

void TestBlackBox::anonymous_memory_is_taken_when_asked_for() {
    GroupOptions options = named("mailroom");
    options.anonymous_segment = true;
    Recorder recorder(options);
    QVERIFY(recorder.box.path().empty());
    QVERIFY(recorder.box.warning().empty());
    QVERIFY(!QFile::exists(directory_->filePath("signalbox")));
    options.segment_path = "/tmp/x";
    QVERIFY_EXCEPTION_THROWN(Group{options}, std::invalid_argument);
}

QTEST_GUILESS_MAIN(TestBlackBox)
#include "test_black_box.moc"
