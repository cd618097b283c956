#include "console/views/connect_dialog.hpp"

#include <QDialogButtonBox>
#include <QFileDialog>
#include <QFormLayout>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QVBoxLayout>

#include "console/models/text.hpp"
#include "console/views/recent_connections.hpp"

namespace signalbox::console {

ConnectDialog::ConnectDialog(QWidget* parent) : QDialog(parent), url_(new QLineEdit), problem_(new QLabel) {
    setObjectName(QStringLiteral("connectDialog"));
    setWindowTitle(tr("Connect to an agent"));
    setAttribute(Qt::WA_DeleteOnClose);
    setModal(true);
    url_->setObjectName(QStringLiteral("connectUrl"));
    url_->setPlaceholderText(tr("unix:/run/mailroom/agent.sock  or  tls://host:port"));
    url_->setMinimumWidth(fontMetrics().horizontalAdvance(u'x') * 62);

    auto* form = new QFormLayout;
    form->setSpacing(8);
    form->addRow(tr("&Agent:"), url_);
    authority_ = addFileRow(*form, tr("Certificate a&uthority:"), QStringLiteral("connectAuthority"));
    certificate_ = addFileRow(*form, tr("Your c&ertificate:"), QStringLiteral("connectCertificate"));
    key_ = addFileRow(*form, tr("Your &key:"), QStringLiteral("connectKey"));
    problem_->setProperty("role", "muted");
    problem_->setTextFormat(Qt::PlainText);
    problem_->setWordWrap(true);

    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Cancel);
    connect_ = buttons->addButton(tr("&Connect"), QDialogButtonBox::AcceptRole);
    connect_->setProperty("role", "primary");
    connect_->setDefault(true);
    connect(buttons, &QDialogButtonBox::accepted, this, &QDialog::accept);
    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
    connect(url_, &QLineEdit::textChanged, this, &ConnectDialog::refresh);

    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(20, 18, 20, 16);
    layout->setSpacing(12);
    layout->addLayout(form);
    layout->addWidget(problem_);
    layout->addWidget(buttons);
    if (const auto recent = recentConnections::load(); !recent.isEmpty()) {
        const auto& last = recent.front();
        url_->setText(last.url);
        authority_->setText(last.authority);
        certificate_->setText(last.certificate);
        key_->setText(last.key);
        url_->selectAll();
    }
    refresh();
}

QLineEdit* ConnectDialog::addFileRow(QFormLayout& form, const QString& label, const QString& name) {
    auto* edit = new QLineEdit;
    edit->setObjectName(name);
    auto* browse = new QPushButton(tr("Browse…"));
    browse->setAutoDefault(false);
    auto* row = new QHBoxLayout;
    row->addWidget(edit, 1);
    row->addWidget(browse);
    form.addRow(label, row);
    static_cast<QLabel*>(form.labelForField(row))->setBuddy(edit);
    connect(browse, &QPushButton::clicked, this, [this, edit] {
        const QString file = QFileDialog::getOpenFileName(this, tr("Choose a PEM file"), edit->text());
        if (!file.isEmpty()) edit->setText(file);
    });
    edit->setProperty("browse", QVariant::fromValue<QObject*>(browse));
    return edit;
}

void ConnectDialog::refresh() {
    const QString url = url_->text().trimmed();
    const bool tls = url.startsWith(QLatin1String("tls://"));
    const bool unixSocket = url.startsWith(QLatin1String("unix:/"));
    for (auto* edit : {authority_, certificate_, key_}) {
        edit->setEnabled(tls);
        qobject_cast<QPushButton*>(edit->property("browse").value<QObject*>())->setEnabled(tls);
    }
    if (tls)
        problem_->setText(
            tr("PEM files: the authority verifies the agent, the certificate and key identify you."));
    else if (unixSocket)
        problem_->setText(tr("A socket on this machine; its file permissions decide who may connect."));
    else
        problem_->setText(tr("Either unix:/path for a socket on this machine, or tls://host:port."));
    connect_->setEnabled(tls || unixSocket);
}

ConnectionSettings ConnectDialog::settings() const {
    ConnectionSettings settings{.url = url_->text().trimmed(), .authority = {}, .certificate = {}, .key = {}};
    if (!authority_->isEnabled()) return settings;
    settings.authority = authority_->text();
    settings.certificate = certificate_->text();
    settings.key = key_->text();
    return settings;
}

}  // namespace signalbox::console
