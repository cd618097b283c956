// The mailroom's message parser: what standards show, what is malformed, and any bytes at all.
#include <QTest>
#include <random>

#include "agent/examples/mailroom/encodings.hpp"
#include "agent/examples/mailroom/message.hpp"
#include "common/wire/utf8.hpp"

using namespace mailroom;

namespace {

std::string joined_texts(const Message& message) {
    std::string all;
    for (const TextPart& part : message.texts)
        all += part.text + "|";
    return all;
}

/// `lines` with CRLF for LF.
std::string crlf(const std::string& lines) {
    std::string out;
    for (const char c : lines) {
        if (c == '\n') out += '\r';
        out += c;
    }
    return out;
}

// RFC 2046 5.1.1.
const std::string kSimpleMultipart =
    "From: Nathaniel Borenstein <nsb@bellcore.com>\n"
    "To: Ned Freed <ned@innosoft.com>\n"
    "Date: Sun, 21 Mar 1993 23:56:48 -0800 (PST)\n"
    "Subject: Sample message\n"
    "MIME-Version: 1.0\n"
    "Content-type: multipart/mixed; boundary=\"simple boundary\"\n"
    "\n"
    "This is the preamble.\n"
    "--simple boundary\n"
    "\n"
    "implicitly typed\n"
    "--simple boundary\n"
    "Content-type: text/plain; charset=us-ascii\n"
    "\n"
    "explicitly typed\n"
    "\n"
    "--simple boundary--\n"
    "\n"
    "This is the epilogue.\n";

std::string nested(int levels) {
    std::string message = "Subject: deep\n";
    for (int level = 0; level < levels; ++level) {
        const std::string boundary = "b" + std::to_string(level);
        message += "Content-Type: multipart/mixed; boundary=" + boundary + "\n\n--" + boundary + "\n";
    }
    return message + "Content-Type: text/plain\n\nbottom\n";
}

}  // namespace

class MessageTest : public QObject {
    Q_OBJECT

private slots:
    void fields_are_unfolded_and_decoded_data() {
        QTest::addColumn<QByteArray>("bytes");
        QTest::addColumn<QByteArray>("name");
        QTest::addColumn<QByteArray>("value");
        QTest::newRow("plain") << QByteArray("Subject: Hello\n\nbody") << QByteArray("Subject")
                               << QByteArray("Hello");
        QTest::newRow("any case") << QByteArray("SUBJECT: Hello\n\n") << QByteArray("subject")
                                  << QByteArray("Hello");
        QTest::newRow("folded") << QByteArray("Subject: This\r\n is a test\r\n\r\n") << QByteArray("Subject")
                                << QByteArray("This is a test");
        QTest::newRow("blank before the colon")
            << QByteArray("Subject : Hello\n\n") << QByteArray("Subject") << QByteArray("Hello");
        QTest::newRow("empty value") << QByteArray("Subject:\n\n") << QByteArray("Subject") << QByteArray("");
        QTest::newRow("no body") << QByteArray("Subject: Hello") << QByteArray("Subject")
                                 << QByteArray("Hello");
        QTest::newRow("behind a mailbox line") << QByteArray("From someone Fri Mar 6\nSubject: Hello\n\n")
                                               << QByteArray("Subject") << QByteArray("Hello");
        QTest::newRow("the first of several")
            << QByteArray("To: a\nTo: b\n\n") << QByteArray("To") << QByteArray("a");
        QTest::newRow("encoded, Q") << QByteArray("Subject: =?iso-8859-1?Q?caf=E9_noir?=\n\n")
                                    << QByteArray("Subject") << QByteArray("caf\xc3\xa9 noir");
        QTest::newRow("encoded, B") << QByteArray("Subject: =?UTF-8?b?w6l0w6k=?= now\n\n")
                                    << QByteArray("Subject") << QByteArray("\xc3\xa9t\xc3\xa9 now");
        QTest::newRow("blanks between encoded words vanish")
            << QByteArray("Subject: =?utf-8?Q?a?=\r\n =?utf-8?Q?b?= c\n\n") << QByteArray("Subject")
            << QByteArray("ab c");
        QTest::newRow("euro of windows-1252") << QByteArray("Subject: =?windows-1252?Q?5=80?=\n\n")
                                              << QByteArray("Subject") << QByteArray("5\xe2\x82\xac");
        QTest::newRow("not an encoded word") << QByteArray("Subject: =?utf-8?X?a?= =? =?a?q\n\n")
                                             << QByteArray("Subject") << QByteArray("=?utf-8?X?a?= =? =?a?q");
        QTest::newRow("raw bytes that are no UTF-8")
            << QByteArray("Subject: a\xff\n\n") << QByteArray("Subject") << QByteArray("a\xef\xbf\xbd");
    }

    void fields_are_unfolded_and_decoded() {
        QFETCH(QByteArray, bytes);
        QFETCH(QByteArray, name);
        QFETCH(QByteArray, value);
        const Message message = parse_message(bytes.toStdString());
        QVERIFY(message.has_field(name.toStdString()));
        QCOMPARE(QByteArray::fromStdString(std::string(message.field(name.toStdString()))), value);
        QVERIFY(message.defects.empty());
    }

    void bodies_are_decoded_data() {
        QTest::addColumn<QByteArray>("header");
        QTest::addColumn<QByteArray>("body");
        QTest::addColumn<QByteArray>("text");
        const auto qp = QByteArray("Content-Transfer-Encoding: quoted-printable\n");
        const auto base64 = QByteArray("Content-Transfer-Encoding: Base64\n");
        QTest::newRow("as it is") << QByteArray() << QByteArray("a\nb\n") << QByteArray("a\nb\n");
        QTest::newRow("quoted-printable") << qp << QByteArray("caf=C3=A9 =3D soft=\nbreak=  \r\nend")
                                          << QByteArray("caf\xc3\xa9 = softbreakend");
        QTest::newRow("lower-case digits") << qp << QByteArray("=c3=a9") << QByteArray("\xc3\xa9");
        QTest::newRow("= at the end") << qp << QByteArray("a=") << QByteArray("a");
        QTest::newRow("base64 in lines") << base64 << QByteArray("SGVs\r\nbG8h\n") << QByteArray("Hello!");
        QTest::newRow("base64, padded") << base64 << QByteArray("SGVsbG8=") << QByteArray("Hello");
        QTest::newRow("base64 without its padding") << base64 << QByteArray("SGVsbG8") << QByteArray("Hello");
        QTest::newRow("latin 1") << QByteArray("Content-Type: text/plain; charset=\"ISO-8859-1\"\n")
                                 << QByteArray("\xe9") << QByteArray("\xc3\xa9");
        QTest::newRow("a type that is none")
            << QByteArray("Content-Type: text\n") << QByteArray("a") << QByteArray("a");
    }

    void bodies_are_decoded() {
        QFETCH(QByteArray, header);
        QFETCH(QByteArray, body);
        QFETCH(QByteArray, text);
        const Message message = parse_message((header + "\n" + body).toStdString());
        QCOMPARE(message.texts.size(), std::size_t{1});
        QCOMPARE(QByteArray::fromStdString(message.texts[0].text), text);
        QVERIFY(message.defects.empty());
    }

    void the_parts_of_a_multipart_are_found() {
        for (const std::string& bytes : {kSimpleMultipart, crlf(kSimpleMultipart)}) {
            const Message message = parse_message(bytes);
            QCOMPARE(message.texts.size(), std::size_t{2});
            QCOMPARE(message.texts[0].text, std::string("implicitly typed"));
            QVERIFY(message.texts[1].text.starts_with("explicitly typed"));
            QVERIFY(message.defects.empty());
            QCOMPARE(message.field("from"), std::string_view("Nathaniel Borenstein <nsb@bellcore.com>"));
        }
    }

    void html_and_attachments_are_told_apart() {
        const Message message = parse_message(
            "Content-Type: multipart/mixed; boundary=outer\n\n"
            "--outer\nContent-Type: multipart/alternative; boundary=outer2\n\n"
            "--outer2\n\nplain\n--outer2\nContent-Type: text/html\n\n<p>html\n--outer2--\n"
            "--outer\nContent-Type: image/png; name=\"a \\\"b\\\".png\"\n\nxyz\n"
            "--outer\nContent-Type: text/plain\nContent-Disposition: attachment; filename=notes.txt\n\nnot "
            "read\n"
            "--outer\nContent-Type: message/rfc822\n\nSubject: inner\n\ninner text\n"
            "--outer--\n");
        QCOMPARE(joined_texts(message), std::string("plain|<p>html|inner text|"));
        QVERIFY(message.texts[1].html && !message.texts[0].html);
        QCOMPARE(message.attachments.size(), std::size_t{2});
        QCOMPARE(message.attachments[0].type, std::string("image/png"));
        QCOMPARE(message.attachments[0].file_name, std::string("a \"b\".png"));
        QCOMPARE(message.attachments[1].file_name, std::string("notes.txt"));
        QVERIFY(message.defects.empty());
    }

    void malformed_letters_are_read_as_far_as_they_make_sense_data() {
        QTest::addColumn<QByteArray>("bytes");
        QTest::addColumn<int>("defect");
        QTest::addColumn<QByteArray>("texts");
        const auto row = [](const char* name, const QByteArray& bytes, Defect defect,
                            const QByteArray& texts) {
            QTest::newRow(name) << bytes << static_cast<int>(defect) << texts;
        };
        row("no header", "just text\nmore: text\n", Defect::no_header, "just text\nmore: text\n|");
        row("no line between", "Subject: a\nand now text\n", Defect::header_ends_abruptly, "and now text\n|");
        row("starts with a fold", " folded\n\nbody", Defect::no_header, " folded\n\nbody|");
        row("no boundary", "Content-Type: multipart/mixed\n\n--a\n\nb\n", Defect::no_boundary, "--a\n\nb\n|");
        row("no end", "Content-Type: multipart/mixed; boundary=a\n\n--a\n\nb\n",
            Defect::unterminated_multipart, "b|");
        row("no part", "Content-Type: multipart/mixed; boundary=a\n\nb\n", Defect::unterminated_multipart,
            "");
        row("bad base64", "Content-Transfer-Encoding: base64\n\nSGVs!bG8=", Defect::damaged_encoding,
            "Hello|");
        row("bad escape", "Content-Transfer-Encoding: quoted-printable\n\na=zzb", Defect::damaged_encoding,
            "a=zzb|");
        row("unknown encoding", "Content-Transfer-Encoding: rot13\n\nuryyb", Defect::unknown_encoding,
            "uryyb|");
    }

    void malformed_letters_are_read_as_far_as_they_make_sense() {
        QFETCH(QByteArray, bytes);
        QFETCH(int, defect);
        QFETCH(QByteArray, texts);
        const Message message = parse_message(bytes.toStdString());
        QVERIFY(message.has(static_cast<Defect>(defect)));
        QCOMPARE(message.defects.size(), std::size_t{1});
        QCOMPARE(QByteArray::fromStdString(joined_texts(message)), texts);
    }

    void limits_hold() {
        std::string many_fields;
        for (int i = 0; i < 20; ++i)
            many_fields += "A: b\n";
        const Message few = parse_message(many_fields + "\nbody", {.fields = 5});
        QCOMPARE(few.fields.size(), std::size_t{5});
        QVERIFY(few.has(Defect::too_many_fields));
        QCOMPARE(joined_texts(few), std::string("body|"));

        const Message one = parse_message(kSimpleMultipart, {.parts = 1});
        QCOMPARE(one.texts.size(), std::size_t{1});
        QVERIFY(one.has(Defect::too_many_parts));

        const Message cut = parse_message("A: b\n\n0123456789", {.text_bytes = 4});
        QCOMPARE(joined_texts(cut), std::string("0123|"));
        QVERIFY(cut.has(Defect::text_cut));

        QVERIFY(!parse_message(nested(6)).has(Defect::too_deep));
        QCOMPARE(joined_texts(parse_message(nested(6))), std::string("bottom|"));
        QVERIFY(parse_message(nested(5000)).has(Defect::too_deep));
    }

    void hostile_letters_take_no_longer_than_their_size_warrants() {
        const auto repeated = [](const std::string& what, std::size_t bytes) {
            std::string out;
            while (out.size() < bytes)
                out += what;
            return out;
        };
        constexpr std::size_t kSize = 4u << 20;
        const std::vector<std::string> letters = {
            "Subject: " + repeated("=?a?q", kSize) + "\n\n",
            "Subject: " + repeated("=?", kSize) + "\n\n",
            "Subject: a\n" + repeated(" \n", kSize),
            "Content-Type: a; " + repeated("b=\"c\";", kSize) + "\n\n",
            "Content-Type: multipart/mixed; boundary=a\n\n" + repeated("--a\n", kSize),
            repeated("Content-Type: multipart/mixed; boundary=a\n\n--a\n", kSize),
            "Content-Transfer-Encoding: quoted-printable\n\n" + repeated("= ", kSize) + "x",
            "Content-Transfer-Encoding: quoted-printable\n\n=" + repeated(" ", kSize) + "x",
        };
        const auto start = std::chrono::steady_clock::now();
        for (const std::string& letter : letters)
            parse_message(letter);
        QVERIFY(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));
    }

    void any_bytes_give_a_message_in_utf8() {
        std::mt19937 random(20260306);
        const std::vector<std::string> pieces = {"\n",
                                                 "\r\n",
                                                 "--a",
                                                 "--a--",
                                                 "=?utf-8?q?=ff?=",
                                                 "Content-Type: ",
                                                 "multipart/mixed; boundary=a",
                                                 "message/rfc822",
                                                 "text/html",
                                                 "Content-Transfer-Encoding: base64",
                                                 ": ",
                                                 "\"",
                                                 "\\",
                                                 ";",
                                                 "=",
                                                 " "};
        for (int round = 0; round < 5000; ++round) {
            std::string bytes;
            for (auto left = random() % 60; left > 0; --left) {
                if (random() % 4 == 0)
                    bytes += static_cast<char>(random());
                else
                    bytes += pieces[random() % pieces.size()];
            }
            const Message message =
                parse_message(bytes, {.fields = 3, .parts = 4, .depth = 3, .text_bytes = 30});
            QVERIFY(message.fields.size() <= 3);
            QVERIFY(message.texts.size() + message.attachments.size() <= 4 + 1);
            for (const Field& field : message.fields)
                QVERIFY(signalbox::wire::is_utf8(field.value));
            for (const TextPart& part : message.texts)
                QVERIFY(signalbox::wire::is_utf8(part.text));
        }
    }
};

QTEST_GUILESS_MAIN(MessageTest)
#include "test_message.moc"
