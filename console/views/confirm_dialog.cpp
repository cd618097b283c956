#include "console/views/confirm_dialog.hpp"

#include <QDialogButtonBox>
#include <QFormLayout>
#include <QLabel>
#include <QPushButton>
#include <QSpinBox>
#include <QVBoxLayout>

#include "console/models/text.hpp"

namespace signalbox::console {

ConfirmDialog::ConfirmDialog(const ActionText& text, QWidget* parent) : QDialog(parent) {
    build();
    say(text);
}

ConfirmDialog::ConfirmDialog(int number, int lowest, int highest, const QString& label,
                             std::function<ActionText(int)> textFor, QWidget* parent)
    : QDialog(parent) {
    build();
    number_ = new QSpinBox;
    number_->setObjectName(QStringLiteral("confirmNumber"));
    number_->setRange(lowest, highest);
    number_->setValue(number);
    auto* form = new QFormLayout;
    form->addRow(label, number_);
    layout_->insertLayout(1, form);
    connect(number_, &QSpinBox::valueChanged, this, [this, textFor, number](int value) {
        say(textFor(value));
        act_->setEnabled(value != number);
    });
    say(textFor(number));
    act_->setEnabled(false);
    number_->setFocus();
    number_->selectAll();
}

void ConfirmDialog::build() {
    setObjectName(QStringLiteral("confirmDialog"));
    setAttribute(Qt::WA_DeleteOnClose);
    setModal(true);
    title_ = new QLabel;
    title_->setTextFormat(Qt::PlainText);
    title_->setProperty("role", "heading");
    QFont large = title_->font();
    large.setPointSizeF(large.pointSizeF() * 1.25);
    title_->setFont(large);
    explanation_ = new QLabel;
    explanation_->setObjectName(QStringLiteral("confirmExplanation"));
    explanation_->setTextFormat(Qt::PlainText);
    explanation_->setWordWrap(true);
    explanation_->setMinimumWidth(fontMetrics().horizontalAdvance(u'x') * 88);
    auto* buttons = new QDialogButtonBox;
    act_ = buttons->addButton(QString(), QDialogButtonBox::AcceptRole);
    act_->setObjectName(QStringLiteral("confirmAct"));
    act_->setProperty("role", "primary");
    auto* cancel = buttons->addButton(QDialogButtonBox::Cancel);
    // Return on a dialog that one did not read changes nothing.
    act_->setAutoDefault(false);
    cancel->setDefault(true);
    connect(buttons, &QDialogButtonBox::accepted, this, &QDialog::accept);
    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
    layout_ = new QVBoxLayout(this);
    layout_->setContentsMargins(20, 18, 20, 16);
    layout_->setSpacing(12);
    layout_->addWidget(title_);
    layout_->addWidget(explanation_);
    layout_->addSpacing(6);
    layout_->addWidget(buttons);
    cancel->setFocus();
}

void ConfirmDialog::say(const ActionText& text) {
    setWindowTitle(text.title);
    title_->setText(text.title);
    explanation_->setText(text.explanation);
    act_->setText(withoutMnemonics(text.verb));
}

int ConfirmDialog::number() const {
    return number_ ? number_->value() : 0;
}

}  // namespace signalbox::console
