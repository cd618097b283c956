#include <QTest>

#include "signalbox/http.hpp"

using signalbox::Handler;
using signalbox::Request;
using signalbox::Response;
using signalbox::Router;

namespace {

auto named(const char* name) {
    return [name](const Request&) { return Response::text(name); };
}

Router mailroom() {
    Router router;
    router.get("/", named("root"));
    router.get("/letters/:box", named("box"));
    router.get("/letters/new", named("new"));
    router.post("/letters/:box", named("store"));
    router.get("/letters/:box/:letter", named("letter"));
    router.get("/files/*rest", named("files"));
    router.get("/files/index", named("index"));
    router.post("/letters/new/urgent", named("urgent"));
    router.get("/shop/", named("shop"));
    return router;
}

}  // namespace

class RouterTest : public QObject {
    Q_OBJECT

private slots:
    void finds_the_most_particular_route_data();
    void finds_the_most_particular_route();
    void fills_in_the_parameters();
    void answers_head_by_get_unless_head_is_there();
    void names_the_methods_that_a_path_allows();
    void falls_back_to_a_parameter_when_the_literal_has_another_method();
    void refuses_malformed_and_repeated_patterns_data();
    void refuses_malformed_and_repeated_patterns();
};

void RouterTest::finds_the_most_particular_route_data() {
    QTest::addColumn<QString>("method");
    QTest::addColumn<QString>("path");
    QTest::addColumn<int>("status");
    QTest::addColumn<QString>("answer");
    QTest::newRow("root") << "GET"
                          << "/" << 200 << "root";
    QTest::newRow("parameter") << "GET"
                               << "/letters/7" << 200 << "box";
    QTest::newRow("literal over parameter") << "GET"
                                            << "/letters/new" << 200 << "new";
    QTest::newRow("method chooses") << "POST"
                                    << "/letters/7" << 200 << "store";
    QTest::newRow("two parameters") << "GET"
                                    << "/letters/7/9" << 200 << "letter";
    QTest::newRow("the rest") << "GET"
                              << "/files/a/b/c" << 200 << "files";
    QTest::newRow("the rest may be empty") << "GET"
                                           << "/files/" << 200 << "files";
    QTest::newRow("literal over the rest") << "GET"
                                           << "/files/index" << 200 << "index";
    QTest::newRow("a trailing slash is another path") << "GET"
                                                      << "/letters/7/" << 404 << "";
    QTest::newRow("a parameter is not empty") << "GET"
                                              << "/letters/" << 404 << "";
    QTest::newRow("trailing slash asked for") << "GET"
                                              << "/shop/" << 200 << "shop";
    QTest::newRow("trailing slash missing") << "GET"
                                            << "/shop" << 404 << "";
    QTest::newRow("nothing there") << "GET"
                                   << "/nowhere" << 404 << "";
    QTest::newRow("case matters") << "GET"
                                  << "/Letters/7" << 404 << "";
    QTest::newRow("another method") << "DELETE"
                                    << "/letters/7" << 405 << "";
    QTest::newRow("the server as such") << "OPTIONS"
                                        << "*" << 204 << "";
}

void RouterTest::finds_the_most_particular_route() {
    QFETCH(QString, method);
    QFETCH(QString, path);
    QFETCH(int, status);
    QFETCH(QString, answer);
    const Router router = mailroom();
    Request request;
    request.method = method.toStdString();
    request.path = path.toStdString();
    const Router::Match match = router.match(request);
    QCOMPARE(match.status, status);
    QCOMPARE(match.endpoint != nullptr, status == 200);
    if (match.endpoint)
        QCOMPARE(QString::fromStdString(std::get<Handler>(*match.endpoint)(request).body), answer);
}

void RouterTest::fills_in_the_parameters() {
    const Router router = mailroom();
    Request request;
    request.method = "GET";
    request.path = "/letters/7/nine";
    QVERIFY(router.match(request).endpoint);
    QCOMPARE(request.parameter("box"), "7");
    QCOMPARE(request.parameter("letter"), "nine");
    QCOMPARE(request.parameter("stamp"), "");
    request.path = "/files/a/b";
    QVERIFY(router.match(request).endpoint);
    QCOMPARE(request.parameter("rest"), "a/b");
    QCOMPARE(request.parameters.size(), 1u);
}

void RouterTest::answers_head_by_get_unless_head_is_there() {
    Router router;
    router.get("/a", named("get"));
    router.get("/b", named("get"));
    router.handle("HEAD", "/b", named("head"));
    Request request;
    request.method = "HEAD";
    request.path = "/a";
    QCOMPARE(std::get<Handler>(*router.match(request).endpoint)(request).body, std::string("get"));
    request.path = "/b";
    QCOMPARE(std::get<Handler>(*router.match(request).endpoint)(request).body, std::string("head"));
}

void RouterTest::names_the_methods_that_a_path_allows() {
    const Router router = mailroom();
    Request request;
    request.method = "DELETE";
    request.path = "/letters/7";
    QCOMPARE(router.match(request).allow, std::string("GET, HEAD, POST"));
    request.path = "/letters/new/urgent";
    QCOMPARE(router.match(request).allow, std::string("GET, HEAD, POST"));
}

void RouterTest::falls_back_to_a_parameter_when_the_literal_has_another_method() {
    const Router router = mailroom();
    Request request;
    request.method = "GET";
    request.path = "/letters/new/urgent";
    QCOMPARE(router.match(request).status, 200);
    QCOMPARE(request.parameter("letter"), "urgent");
}

void RouterTest::refuses_malformed_and_repeated_patterns_data() {
    QTest::addColumn<QString>("pattern");
    QTest::newRow("empty") << "";
    QTest::newRow("no slash") << "letters";
    QTest::newRow("nameless parameter") << "/letters/:";
    QTest::newRow("nameless rest") << "/letters/*";
    QTest::newRow("rest in the middle") << "/*rest/letters";
    QTest::newRow("there already") << "/letters/new";
    QTest::newRow("there already by another name") << "/letters/:drawer";
}

void RouterTest::refuses_malformed_and_repeated_patterns() {
    QFETCH(QString, pattern);
    Router router = mailroom();
    QVERIFY_EXCEPTION_THROWN(router.get(pattern.toStdString(), named("x")), std::invalid_argument);
}

QTEST_GUILESS_MAIN(RouterTest)
#include "test_router.moc"
