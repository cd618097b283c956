// The mailroom's classifier, on letters by hand and on those that the load generator makes.
#include <QTest>
#include <algorithm>
#include <random>

#include "agent/examples/load/scenario.hpp"
#include "agent/examples/mailroom/classifier.hpp"

using namespace mailroom;

namespace {

const std::string kHam =
    "From: Ada <ada@example.org>\nDate: Fri, 6 Mar 2026 09:12:00 +0000\nMessage-ID: <2@example.org>\n"
    "In-Reply-To: <1@example.org>\nSubject: Re: agenda\n\nThanks, the agenda for the meeting on Monday is "
    "attached.\n";
const std::string kSpam =
    "From: Prince <prince@example.com>\nReply-To: claims@example.net\nSubject: YOU ARE THE WINNER!!\n"
    "Content-Type: text/html\n\n<b>LOTTERY</b> winnings of a million dollars! <a "
    "href='http://192.0.2.1/'>click</a>\n";

Score score_of(const std::string& letter) {
    return classify(parse_message(letter));
}

bool has_reason(const Score& score, std::string_view reason) {
    return std::any_of(score.reasons.begin(), score.reasons.end(),
                       [&](const std::string& each) { return each.starts_with(reason); });
}

}  // namespace

class ClassifierTest : public QObject {
    Q_OBJECT

private slots:
    void a_colleagues_letter_is_ham() {
        const Score score = score_of(kHam);
        QVERIFY(!score.spam);
        QVERIFY(score.probability < 0.1);
        QVERIFY(has_reason(score, "answers a letter"));
    }

    void a_princes_letter_is_spam() {
        const Score score = score_of(kSpam);
        QVERIFY(score.spam);
        QVERIFY(score.probability > 0.9);
        QVERIFY(has_reason(score, "word 'lottery'"));
        QVERIFY(has_reason(score, "a link to a bare address"));
    }

    void a_letter_always_gets_the_same_score() {
        const Score first = score_of(kSpam);
        for (int i = 0; i < 10; ++i) {
            const Score again = score_of(kSpam);
            QCOMPARE(again.probability, first.probability);
            QCOMPARE(again.reasons, first.reasons);
        }
    }

    void saying_it_again_changes_nothing() {
        QCOMPARE(score_of(kSpam + "lottery lottery LOTTERY\n").probability, score_of(kSpam).probability);
    }

    void words_are_whole_words() {
        const std::string header = "From: a@b\nDate: x\nMessage-ID: y\n\n";
        QCOMPARE(score_of(header + "freedom prizefighter").probability, score_of(header).probability);
        QVERIFY(score_of(header + "free prize").probability > score_of(header).probability);
    }

    void an_attachment_that_runs_weighs() {
        const std::string letter = kHam.substr(0, kHam.find("\n\n")) +
                                   "\nContent-Type: application/octet-stream; name=Invoice.PDF.exe\n\nxyz";
        QVERIFY(has_reason(score_of(letter), "an attachment that runs"));
    }

    void an_empty_letter_has_a_score() {
        const Score score = score_of("");
        QVERIFY(score.probability > 0 && score.probability < 1);
    }

    void generated_letters_are_told_apart() {
        std::mt19937_64 random(7);
        int spam = 0;
        constexpr int kLetters = 300;
        for (int i = 0; i < kLetters; ++i) {
            const Message message = parse_message(signalbox::load::generate_letter(random));
            QVERIFY(message.defects.empty());
            const bool written_as_spam = message.has_field("Reply-To");
            const Score score = classify(message);
            QCOMPARE(score.spam, written_as_spam);
            spam += score.spam;
        }
        QVERIFY(spam > kLetters / 5 && spam < kLetters / 2);
    }
};

QTEST_GUILESS_MAIN(ClassifierTest)
#include "test_classifier.moc"
