// Names for addresses, from files that may be anything.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <QCoreApplication>
#include <QFile>
#include <QTemporaryDir>
#include <QtTest>

#include "agent/inspect/symbols.hpp"
#include "agent/telemetry/module_table.hpp"

using namespace signalbox;
using inspect::Symbols;
using telemetry::ModuleInfo;

namespace symbol_test {

template <class T>
[[gnu::noinline]] int named(T value, int more) {
    return static_cast<int>(value) + more;
}

}  // namespace symbol_test

namespace {

/// This program, as a process of it would describe itself.
ModuleInfo this_program() {
    telemetry::CrashRecord record{};
    record.sequence = 2;
    record.generation = record.pid = record.tid = 1;
    record.signal = SIGSEGV;
    record.module_count = telemetry::write_module_table(record.modules);
    ModuleInfo module = telemetry::read_crash(record, 1)->modules.at(0);
    module.path = QCoreApplication::applicationFilePath().toStdString();
    return module;
}

std::uint64_t file_address(const ModuleInfo& module) {
    int (*function)(long, int) = symbol_test::named<long>;
    return reinterpret_cast<std::uint64_t>(function) - module.start + module.file_address;
}

}  // namespace

class TestSymbols : public QObject {
    Q_OBJECT
private slots:
    void a_function_has_its_name_and_line();
    void an_address_outside_has_none();
    void a_file_that_is_not_the_same_any_more_gives_no_names();
    void only_regular_files_are_opened_data();
    void only_regular_files_are_opened();
    void damaged_files_do_no_harm();
};

void TestSymbols::a_function_has_its_name_and_line() {
    const ModuleInfo module = this_program();
    QVERIFY(module.has_build_id());
    Symbols symbols;
    const auto symbol = symbols.find(module, file_address(module) + 1);
    QVERIFY(symbol);
    QCOMPARE(symbol->function, std::string("int symbol_test::named<long>"));
    QCOMPARE(symbol->offset, 1u);
    QVERIFY(symbol->source.ends_with("test_symbols.cpp"));
    QVERIFY(symbol->line > 0);
}

void TestSymbols::an_address_outside_has_none() {
    const ModuleInfo module = this_program();
    Symbols symbols;
    for (const std::uint64_t address : {std::uint64_t{0}, std::uint64_t{1} << 40, UINT64_MAX, UINT64_MAX / 2})
        QVERIFY(!symbols.find(module, address));
}

void TestSymbols::a_file_that_is_not_the_same_any_more_gives_no_names() {
    ModuleInfo module = this_program();
    module.build_id[3] ^= 1;
    QVERIFY(!Symbols().find(module, file_address(module)));
    module.build_id = {};
    QVERIFY(!Symbols().find(module, file_address(module)));
}

void TestSymbols::only_regular_files_are_opened_data() {
    QTest::addColumn<QString>("path");
    for (const char* path : {"", "/", "/dev/zero", "/dev/tty", "/proc/self/mem", "relative/program",
                             "/no/such/file", "/proc/self/fd/0", "/etc/passwd"})
        QTest::newRow(*path ? path : "nothing") << QString(path);
    QTest::newRow("a named pipe") << QString("fifo");
}

void TestSymbols::only_regular_files_are_opened() {
    QFETCH(QString, path);
    QTemporaryDir directory;
    if (path == "fifo") {
        path = directory.filePath("fifo");
        QCOMPARE(::mkfifo(path.toLocal8Bit(), 0600), 0);  // to open it would wait for a writer
    }
    ModuleInfo module = this_program();
    module.path = path.toStdString();
    QVERIFY(!Symbols().find(module, file_address(module)));
}

void TestSymbols::damaged_files_do_no_harm() {
    QTemporaryDir directory;
    ModuleInfo module = this_program();
    const std::uint64_t address = file_address(module);
    QFile program(QCoreApplication::applicationFilePath());
    QVERIFY(program.open(QIODevice::ReadOnly));
    const QByteArray whole = program.readAll();
    for (const qsizetype size : {qsizetype{0}, qsizetype{10}, qsizetype{64}, qsizetype{5000},
                                 whole.size() / 2, whole.size() - 100}) {
        const QString path = directory.filePath(QString::number(size));
        QFile cut(path);
        QVERIFY(cut.open(QIODevice::WriteOnly));
        cut.write(whole.first(size));
        cut.close();
        module.path = path.toStdString();
        Symbols().find(module, address);
    }
}

QTEST_GUILESS_MAIN(TestSymbols)
#include "test_symbols.moc"
