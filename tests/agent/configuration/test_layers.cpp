// What code, file and command line say, put together; and the table that all of it goes by.
#include <sys/stat.h>

#include <QFile>
#include <QTemporaryDir>
#include <QTest>
#include <set>

#include "agent/configuration/source.hpp"
#include "agent/configuration/suggestion.hpp"
#include "agent/telemetry/layout.hpp"

using namespace signalbox;
using namespace signalbox::configuration;

class LayersTest : public QObject {
    Q_OBJECT
private slots:
    void the_table_is_sound();
    void every_option_has_a_row();
    void every_value_survives_writing_and_reading();
    void the_command_line_wins_over_the_file_and_the_file_over_the_code();
    void all_errors_come_at_once_each_with_place_and_way_out();
    void what_does_not_go_together_is_found_data();
    void what_does_not_go_together_is_found();
    void listeners_are_found_by_name_and_by_number();
    void any_listeners_take_the_place_of_those_in_the_code();
    void sections_come_and_go();
    void what_is_printed_says_the_same_when_it_is_read();
    void what_is_no_file_is_refused();
    void a_misspelt_name_is_recognised_data();
    void a_misspelt_name_is_recognised();
};

namespace {

Layer layer_of(const std::string& text, std::vector<std::string>& errors) {
    Rows rows;
    for (const auto& row : group_settings())
        rows.push_back(&row);
    return read_layer(text, "f", rows, errors);
}

Composed composed(const std::string& text, const Code& code = {}, const Layer& command_line = {}) {
    std::vector<std::string> errors;
    const Layer file = layer_of(text, errors);
    Composed all = compose(code, {file, command_line});
    all.errors.insert(all.errors.begin(), errors.begin(), errors.end());
    return all;
}

Choice on_command_line(const std::string& name, Value value) {
    return {name, std::move(value), "command line --" + name, "command line"};
}

struct Anything {
    template <class T>
    operator T() const;
};

/// Of an aggregate: with how many values it can be initialized.
template <class T, class... Values>
constexpr std::size_t field_count() {
    if constexpr (requires { T{std::declval<Values>()..., Anything{}}; })
        return field_count<T, Values..., Anything>();
    else
        return sizeof...(Values);
}

/// Of the rows whose names begin with `prefix`, what follows it up to the next dot.
template <class Table>
std::set<std::string> fields_of(const Table& table, const std::string& prefix = "") {
    std::set<std::string> names;
    for (const auto& row : table)
        if (row.name.starts_with(prefix)) {
            const std::string rest = row.name.substr(prefix.size());
            names.insert(rest.substr(0, rest.find('.')));
        }
    return names;
}

QByteArray joined(const std::vector<std::string>& lines) {
    QByteArray all;
    for (const std::string& line : lines)
        all += QByteArray::fromStdString(line) + '\n';
    return all;
}

Code with_listeners(std::initializer_list<const char*> names) {
    Code code;
    for (const char* name : names)
        code.listeners.push_back({.name = name, .address = "127.0.0.1:0"});
    return code;
}

}  // namespace

void LayersTest::the_table_is_sound() {
    std::set<std::string> names;
    const auto check = [&](const Row& row) {
        QVERIFY2(names.insert(row.name).second, row.name.c_str());
        QVERIFY2(!row.help.empty() && row.help.size() <= 135 && row.help.back() != '.', row.name.c_str());
        QVERIFY2(context_name(row.name).size() + sizeof "listener_0_" <= 63, row.name.c_str());
    };
    for (const auto& row : group_settings()) {
        check(row);
        // The defaults are within the ranges.
        if (row.kind == Kind::word) QCOMPARE(parse(row, format(row, *row.get({}))), *row.get({}));
    }
    names.clear();
    for (const auto& row : listener_settings())
        check(row);
}

/// A field that somebody adds can be chosen in a file and on the command line, too.
void LayersTest::every_option_has_a_row() {
    constexpr std::size_t kNotChosen = 2;  // `origin` and `configuration` say where the others come from
    QCOMPARE(fields_of(group_settings()).size() + kNotChosen, field_count<GroupOptions>());
    QCOMPARE(fields_of(group_settings(), "agent_tls.").size(), field_count<AgentTls>());
    // `address` is no field of theirs, and `name` is the key under which a file has them.
    QCOMPARE(fields_of(listener_settings()).size(), field_count<ListenerOptions>());
    QCOMPARE(fields_of(listener_settings(), "limits.").size(), field_count<HttpLimits>());
    QCOMPARE(fields_of(listener_settings(), "stream.").size(), field_count<StreamLimits>());
    QCOMPARE(fields_of(listener_settings(), "tls.").size(), field_count<TlsOptions>());
    QCOMPARE(fields_of(listener_settings(), "proxy.").size(), field_count<ProxyOptions>());
    QCOMPARE(fields_of(listener_settings(), "compression.").size(), field_count<CompressionOptions>());
}

void LayersTest::every_value_survives_writing_and_reading() {
    ConfiguredListener all{.address = "*:1"};
    all.options.tls.emplace();
    all.options.proxy = ProxyOptions{.trusted = {"10.0.0.0/8", "unix"}};
    all.options.compression.emplace();
    for (const auto& row : listener_settings()) {
        const auto value = row.get(all);
        QVERIFY2(value.has_value(), row.name.c_str());
        ConfiguredListener other;
        row.set(other, parse(row, format(row, *value)));
        QVERIFY2(row.get(other) == value, row.name.c_str());
    }
}

void LayersTest::the_command_line_wins_over_the_file_and_the_file_over_the_code() {
    Code code;
    code.group.workers = 3;
    code.group.quiet = true;
    code.group.drain_deadline = std::chrono::seconds(4);
    Layer command_line;
    command_line.choices.push_back(on_command_line("workers", std::uint64_t{5}));
    const Composed all = composed("{\"workers\": 4,\n \"drain_deadline\": \"1.5s\"}", code, command_line);
    QCOMPARE(joined(all.errors), QByteArray());
    QCOMPARE(all.group.workers, 5u);
    QCOMPARE(all.group.drain_deadline, std::chrono::milliseconds(1500));
    QVERIFY(all.group.quiet);
    const auto origin = [&](const char* name) { return origin_of(all, *find(group_settings(), name)); };
    QCOMPARE(origin("workers"), std::string("command line --workers"));
    QCOMPARE(origin("drain_deadline"), std::string("f:2"));
    QCOMPARE(origin("quiet"), std::string("code"));
    QCOMPARE(origin("start_deadline"), std::string("default"));
}

void LayersTest::all_errors_come_at_once_each_with_place_and_way_out() {
    const Composed all = composed(
        "{\"workers\": 0, \"drain_deadline\": \"99h\",\n"
        " \"worker_memroy_limit\": \"1MiB\", \"quiet\": \"yes\", \"spin_threshold\": 5,\n"
        " \"worker_memory_limit\": \"12 parsecs\", \"name\": 7, \"agent_tls\": {\"adress\": \"x\"}, "
        "\"user\": [],\n"
        " \"listeners\": {\"web\": {\"backlog\": -1, \"tls\": {\"policy\": \"maybe\"}}, \"We\": {}}}");
    QCOMPARE(
        joined(all.errors),
        QByteArray(
            "f:1:13: workers: '0' is below its minimum of 1\n"
            "f:1:34: drain_deadline: '99h' is above its maximum of 24h\n"
            "f:2:2: there is no setting 'worker_memroy_limit'; did you mean 'worker_memory_limit'?\n"
            "f:2:42: quiet: 'yes' is a text; write it without quotes\n"
            "f:2:67: spin_threshold: '5' is not a duration; try '250ms' or '1.5s' (ns, us, ms, s, min, h and "
            "d are known)\n"
            "f:3:25: worker_memory_limit: '12 parsecs' is not a size; try '512MiB' (B, KiB, MiB and GiB are "
            "known)\n"
            "f:3:47: name: '7' is not a text; write it in quotes\n"
            "f:3:64: there is no setting 'agent_tls.adress'; did you mean 'address'?\n"
            "f:3:88: user: a list is no text; write it in quotes\n"
            "f:4:35: listeners.web.backlog: '-1' is below its minimum of 1\n"
            "f:4:57: listeners.web.tls.policy: 'maybe' is none of required, optional\n"
            "f:4:68: listeners: 'We' is no name; use a to z, digits and _, starting with a letter\n"
            "f:4:16: there is no listener 'web'; there are: \n"));
}

void LayersTest::what_does_not_go_together_is_found_data() {
    QTest::addColumn<QByteArray>("text");
    QTest::addColumn<QByteArray>("error");
    const auto row = [](const char* name, const char* text, const char* error) {
        QTest::newRow(name) << QByteArray(text) << QByteArray(error);
    };
    row("more workers than there can be", R"({"workers": 9, "max_workers": 8})",
        "f:1:13: workers: 9 is not between 1 and max_workers (8)\n");
    row("more workers by default than there can be", R"({"max_workers": 1})",
        "f:1:17: workers: 2 is not between 1 and max_workers (1)\n");
    row("a least above the most", R"({"min_workers": 9, "max_workers": 8})",
        "f:1:17: min_workers: 9 is not between 1 and max_workers (8)\n");
    row("two segments", R"({"segment_path": "x", "anonymous_segment": true})",
        "f:1:18: segment_path: it and anonymous_segment exclude each other: give one of them\n");
    row("a group without a user", R"({"user_group": "mail"})",
        "f:1:16: user_group: 'mail' needs a user as well\n");
    row("TLS without a socket",
        R"({"agent_tls": {"address": "a:1", "certificate": "c", "key": "k", "client_authority": "a"}})",
        "f:1:27: agent_tls.address: it needs agent_socket as well: the unix socket is how the host itself "
        "looks in\n");
    row("TLS without a key", R"({"agent_socket": "s", "agent_tls": {"address": "a:1", "certificate": "c",
        "client_authority": "a"}})",
        "f:1:48: agent_tls.key: agent_tls needs it: name a PEM file\n");
    row("a listener without a key", R"({"listeners": [{"tls": {"certificate": "c"}}]})",
        "f:1:24: listeners.web.tls.key: TLS needs it: name a PEM file\n");
    row("a proxy that nobody trusts", R"({"listeners": [{"proxy": {}}]})",
        "f:1:26: listeners.web.proxy.trusted: it is empty: name the proxies, for example '10.0.0.0/8'\n");
}

void LayersTest::what_does_not_go_together_is_found() {
    QFETCH(QByteArray, text);
    QFETCH(QByteArray, error);
    QCOMPARE(joined(composed(text.toStdString(), with_listeners({"web"})).errors), error);
}

void LayersTest::listeners_are_found_by_name_and_by_number() {
    const Code code = with_listeners({"web", "admin"});
    Layer command_line;
    command_line.of_all_listeners.push_back(on_command_line("backlog", std::uint64_t{9}));
    command_line.listeners.push_back({.name = "web",
                                      .place = "command line",
                                      .lists = false,
                                      .choices = {on_command_line("backlog", std::uint64_t{7})}});
    const Composed by_name = composed(
        R"({"listeners": {"admin": {"address": "unix:/a", "queue_capacity": 3}}})", code, command_line);
    QCOMPARE(joined(by_name.errors), QByteArray());
    QCOMPARE(by_name.listeners[0].listener.options.backlog, 7);
    QCOMPARE(by_name.listeners[1].listener.options.backlog, 9);
    QCOMPARE(by_name.listeners[1].listener.address, std::string("unix:/a"));
    QCOMPARE(by_name.listeners[1].listener.options.queue_capacity, 3u);

    const Composed by_number = composed(R"({"listeners": [{}, {"queue_deadline": "3s"}]})", code);
    QCOMPARE(joined(by_number.errors), QByteArray());
    QCOMPARE(by_number.listeners[1].listener.options.queue_deadline, std::chrono::milliseconds(3000));

    QCOMPARE(joined(composed(R"({"listeners": {"amdin": {}}})", code).errors),
             QByteArray("f:1:16: there is no listener 'amdin'; there are: web, admin\n"));
    QCOMPARE(joined(composed(R"({"listeners": [{}, {}, {}]})", code).errors),
             QByteArray("f:1:24: there is no listener '2'; there are: web, admin\n"));
}

void LayersTest::any_listeners_take_the_place_of_those_in_the_code() {
    Code code = with_listeners({"web"});
    code.any_listeners = true;
    code.listeners[0].options.backlog = 5;
    const Composed all =
        composed(R"({"listeners": [{"address": "*:1"}, {"address": "*:2", "name": "other"}]})", code);
    QCOMPARE(joined(all.errors), QByteArray());
    QCOMPARE(all.listeners.size(), 2u);
    QCOMPARE(all.listeners[0].listener.name, std::string("web"));
    QCOMPARE(all.listeners[0].listener.options.backlog, 5);
    QCOMPARE(all.listeners[1].listener.name, std::string("other"));
    QCOMPARE(composed(R"({"workers": 1})", code).listeners.size(), 1u);
    QVERIFY(joined(composed(
                       R"({"listeners": [{"name": "a", "address": "*:1"}, {"name": "a", "address": "*:2"}]})",
                       code)
                       .errors)
                .contains("two are called 'a'"));
    QVERIFY(joined(composed(R"({"listeners": {"new": {}}})", code).errors)
                .contains("listeners.new.address: it is missing"));
    std::string many = R"({"listeners": [)";
    for (unsigned i = 0; i <= telemetry::kMaxListeners; ++i)
        many += R"({"address": "*:1"},)";
    many.back() = ']';
    QVERIFY(joined(composed(many + "}", code).errors).contains("a group has at most 8"));
}

void LayersTest::sections_come_and_go() {
    Code code = with_listeners({"web"});
    code.listeners[0].options.compression.emplace();
    const Composed off = composed(R"({"listeners": [{"compression": null}]})", code);
    QVERIFY(!off.listeners[0].listener.options.compression);
    const Composed on = composed(R"({"listeners": [{"compression": {}}]})", with_listeners({"web"}));
    QVERIFY(on.listeners[0].listener.options.compression);
    const Composed more =
        composed(R"({"listeners": [{"compression": {"types": ["a/b", "c/d"], "gzip": false}}]})", code);
    QCOMPARE(joined(more.errors), QByteArray());
    QCOMPARE(more.listeners[0].listener.options.compression->types, (std::vector<std::string>{"a/b", "c/d"}));
    QVERIFY(!more.listeners[0].listener.options.compression->gzip);
}

void LayersTest::what_is_printed_says_the_same_when_it_is_read() {
    Code code = with_listeners({"web", "admin"});
    const Composed all = composed(
        R"({"workers": 5, "agent_socket": "a \"b\"", "agent_tls": {"operators": ["x", "y"]},
            "listeners": {"web": {"tls": {"certificate": "c", "key": "k", "least_version": "1.3"}},
                          "admin": {"limits": {"body": "5KiB"}, "compression": {"zstd_level": 9}}}})",
        code);
    const std::string printed = in_json(code, all);
    const Composed again = composed(printed, code);
    QCOMPARE(joined(again.errors), QByteArray());
    for (const auto& row : group_settings())
        QVERIFY2(row.get(again.group) == row.get(all.group), row.name.c_str());
    for (std::size_t i = 0; i < 2; ++i)
        for (const auto& row : listener_settings())
            QVERIFY2(row.get(again.listeners[i].listener) == row.get(all.listeners[i].listener),
                     row.name.c_str());
    QVERIFY2(printed.find("// f:1") != std::string::npos && printed.find("// default") != std::string::npos,
             printed.c_str());
}

void LayersTest::what_is_no_file_is_refused() {
    const QTemporaryDir directory;
    const auto errors = [](const QString& path) {
        return joined(Source({}, path.toStdString(), {}).first().errors);
    };
    QVERIFY(errors(directory.path()).contains("is a directory; name a file"));
    QVERIFY(errors(directory.filePath("none")).contains("cannot be opened: No such file"));
    const QString pipe = directory.filePath("pipe");
    QCOMPARE(::mkfifo(qPrintable(pipe), 0600), 0);
    QVERIFY(errors(pipe).contains("is not a regular file"));
    QVERIFY(errors("/dev/zero").contains("is not a regular file"));
    QFile huge(directory.filePath("huge"));
    QVERIFY(huge.open(QFile::WriteOnly) && huge.resize(2 << 20));
    QVERIFY(errors(huge.fileName()).contains("is larger than 1024 KiB"));
}

void LayersTest::a_misspelt_name_is_recognised_data() {
    QTest::addColumn<QByteArray>("name");
    QTest::addColumn<QByteArray>("meant");
    QTest::newRow("a letter") << QByteArray("worker") << QByteArray("; did you mean 'workers'?");
    QTest::newRow("two swapped") << QByteArray("wrokers") << QByteArray("; did you mean 'workers'?");
    QTest::newRow("another end") << QByteArray("max_worker_no")
                                 << QByteArray("; did you mean 'max_workers'?");
    QTest::newRow("nothing like it") << QByteArray("colour") << QByteArray("");
    QTest::newRow("empty") << QByteArray("") << QByteArray("");
    QTest::newRow("endless") << QByteArray(5000, 'w') << QByteArray("");
}

void LayersTest::a_misspelt_name_is_recognised() {
    QFETCH(QByteArray, name);
    QFETCH(QByteArray, meant);
    QCOMPARE(QByteArray::fromStdString(
                 suggestion(name.toStdString(), {"workers", "max_workers", "quiet", "drain_deadline"})),
             meant);
}

QTEST_APPLESS_MAIN(LayersTest)
#include "test_layers.moc"
