# Texts of sealgate in English. Every id stands in all languages, with the same words in it.

## Notice to a recipient

notice-subject = You have a secure message from { $organisation }
notice-heading = You have a secure message
notice-department = { $organisation }, { $department }, has sent you a message.
notice-organisation = { $organisation } has sent you a message.
notice-why = The content is protected and is therefore not sent by ordinary e-mail. You can read it after you have logged in with your electronic ID.
notice-button = Read the message
notice-until = You can read the message up to and including { $date }. After that it is deleted automatically.
notice-providers = You can log in with { $providers }.
notice-get = How to get { $provider }:
notice-genuine = Not sure whether this is genuine? Do not click the link. Go to the website of { $organisation } yourself and search for secure messages:
notice-genuine-no-website = Not sure whether this is genuine? Do not click the link. Contact { $organisation } in the way you usually do.
notice-questions = Questions? { $contact }
notice-no-answer = This e-mail was sent automatically. Please do not reply to it: log in and answer in the message, so that your answer is protected too.

## Receipt to a sender

receipt-subject = Receipt: { $subject }
receipt-subject-none = Receipt for your secure message
receipt-heading = What became of your secure message
receipt-about = Subject: { $subject }
receipt-pickup = { $recipient }: in the portal. A notice is on its way to the recipient, who can read it up to and including { $date }.
receipt-tunnel = { $recipient }: sent encrypted to { $domain }, which opens it for its recipients.
receipt-personal = { $recipient }: sent encrypted to the recipient's own certificate.
receipt-no-sms = { $recipient }: no text message is sent, for text messages are not set up here.
receipt-held = { $recipient }: waiting, not sent. Reason: { $reason }
receipt-refused = { $recipient }: not sent. Reason: { $reason }
receipt-answers = Answers will go to { $mailbox }.
receipt-id = Id for questions to the help desk: { $id }

held-subject-none = A message is held
held-text = { $recipient }: waits for a decision by operations. Reason: { $reason }
held-how = A person decides, by one of these commands on the gateway:
held-show = sealgate queue show { $id }: shows it
held-release = sealgate queue release { $id }: lets it go
held-drop = sealgate queue drop { $id } --notify: gives it up; who is told of that, it says

opened-subject = Read: { $subject }
opened-subject-none = Your secure message has been read
opened-text = { $recipient } opened the message { $time }.

unopened-subject = Not read: { $subject }
unopened-subject-none = Your secure message has not been read
unopened-text = { $recipient } has not opened the message yet. It can be read up to and including { $date }.

expired-subject = Deleted without being read: { $subject }
expired-subject-none = Your secure message was deleted without being read
expired-text = { $recipient } did not open the message. The time is up and the message has been deleted.

recalled-subject = Recalled: { $subject }
recalled-subject-none = Your secure message has been recalled
recalled-text = The message to { $recipient } has been recalled and can no longer be read.

notice-failed-subject = Could not be notified: { $subject }
notice-failed-subject-none = The recipient could not be notified
notice-failed-text = The notice to { $recipient } came back. The recipient therefore does not know that there is a message.
notice-failed-reason = Reason: { $reason }.
notice-failed-advice = Check the address and send the message again.

sealed-failed-subject = Came back: { $subject }
sealed-failed-subject-none = Your secure message came back
sealed-failed-text = The encrypted message to { $recipient } came back. The recipient has not received it.

notice-answered-subject = Attempt to answer: { $subject }
notice-answered-subject-none = Somebody tried to answer a notice
notice-answered-text = { $recipient } answered the notice by ordinary e-mail instead of in the portal. The answer was not passed on, because it was not protected. Its author has been told how to answer safely.

## To somebody who answered a notice by mail

safe-answer-subject = Your answer did not arrive: how to answer safely
safe-answer-heading = Your answer did not arrive
safe-answer-text = You answered a notice from { $organisation }. Ordinary e-mail is not protected, so your answer has not been passed on to anybody.
safe-answer-how = How to answer: open the link in the notice, log in with your electronic ID and choose Answer.
safe-answer-website = More about secure messages:

## To a person whose answer from the portal did not arrive

answer-lost-subject = Your answer did not arrive
answer-lost-text = Your answer to { $organisation } could not be handed to its recipient, and the attempts have been given up. Nobody has received it.
answer-lost-how = Contact the organisation, or answer again in the portal.

## Delivery reports

report-failed-subject = Could not be delivered: { $subject }
report-failed-subject-none = Your message could not be delivered
report-failed-text = The message could not be delivered to:
report-delayed-subject = Delayed: { $subject }
report-delayed-subject-none = Your message is delayed
report-delayed-text = The message has not been delivered to the following recipients yet. Attempts go on until { $date }. You need not do anything.
report-success-subject = Delivered: { $subject }
report-success-subject-none = Your message has been delivered
report-success-text = The message has been delivered to:
report-relayed-subject = Passed on: { $subject }
report-relayed-subject-none = Your message has been passed on
report-relayed-text = The message has been handed to the next mail server, which does not tell what becomes of it:
report-line = { $recipient }: { $reason }
report-nothing-clear = No content has left the organisation unprotected.

not-passed-on-subject = A message from outside could not be passed on
not-passed-on-text = A message from outside that had been taken could not be handed on to:
not-passed-on-why = Its sender was not told: nobody vouches for the address it gives, and a report could reach somebody who never wrote. The header of the message is attached.

reason-no-reply = the recipient's mail server does not answer
reason-no-names = the domain's name servers do not answer as they should
reason-too-large = the message is larger than the recipient's mail server takes
reason-form = the recipient's mail server cannot take the message in this form
reason-not-handed-over = it could not be handed over to the recipient's mail server
reason-no-such-address = there is no such address
reason-no-such-domain = the domain takes no mail
reason-mailbox-full = the mailbox is full
reason-refused = the recipient's mail server did not take the notice
reason-expired = the time for attempts is over
reason-pickup = lies in the portal
reason-dropped = stopped by operations
reason-tls = no verified encrypted connection to the recipient's mail server
reason-certificate-theirs = the recipient's certificate cannot be used now. The message is sent as soon as there is a valid one
reason-certificate-ours = our own certificate cannot be used now. The message is sent as soon as there is a valid one
reason-unsealed = the message could not be encrypted now. It is tried again
reason-unreachable = no secure way to the recipient
reason-number = no login here shows a number of the type { $type }
reason-hold = the rule "{ $rule }" asks for a person's approval
reason-found = the malware scanner objects to it ({ $found })
reason-no-key = it is sealed for a key that is not here ({ $keys })
reason-cannot-be-opened = it is sealed to us and cannot be opened
reason-sealed-to-others = it is sealed to another recipient's key
reason-rule = the rule "{ $rule }"

signature = { $organisation } · sent automatically by the secure mail

## The portal

portal-product = Secure messages
portal-skip = Skip to the content
portal-nav = Main menu
portal-languages = Language
portal-inbox = Inbox
portal-outbox = Sent
portal-drafts = Drafts
portal-logout = Log out
portal-session = You will be logged out automatically { $time } unless you do something before then.
portal-session-writing = You will be logged out automatically { $time }. Save the draft to stay logged in: what you have written is then kept.
portal-stay = Stay logged in
portal-still-heading = Are you still there?
portal-still-text = You have not done anything for a while. In two minutes you will be logged out, so that nobody else can read your messages.
portal-accessibility = Accessibility
portal-about = About secure messages
portal-help = Need help? { $contact }
portal-again = Try again
portal-to-inbox = To the inbox
portal-to-message = To the message
portal-not-found-heading = This page cannot be shown
portal-not-found-text = There is nothing here that you can read. The link may be mistyped, the time for the message may be up, or it is meant for somebody else.
portal-stale-heading = This form is no longer valid
portal-stale-text = Go back, reload the page and try again. This can happen if you have logged in anew in another tab.
portal-login-failed-heading = The login was not completed
portal-login-failed-text = Your electronic ID could not be confirmed. You can try again.
portal-too-often-heading = Please wait a moment
portal-too-often-text = There have been unusually many attempts from your connection. Wait a minute and try again.
portal-too-large-heading = The files are too large
portal-too-large-text = What you sent is larger than can be received. Go back and choose fewer or smaller files.
portal-unavailable-heading = This does not work right now
portal-unavailable-text = The fault is ours, not yours. Your messages are still there. Try again in a while.
portal-landing-heading = You have a secure message
portal-landing-text = { $organisation } sends sensitive information this way instead of by ordinary e-mail.
portal-landing-login = Log in to read the message.
portal-landing-logged-in = You are logged in as { $name }. Open the message: you will find it in your inbox too.
portal-landing-open = Open the message
portal-login-heading = Log in
portal-login-text = Log in with your electronic ID to read and answer messages from { $organisation }.
portal-login-ended = You have been logged out because the time was up. Log in to go on.
portal-logged-out = You have been logged out.
portal-choose = Choose how to log in
portal-login-with = Log in with { $provider }
portal-get = How to get { $provider }
portal-genuine-heading = Is this page genuine?
portal-genuine-text = Check the address at the top of your browser. If in doubt, go to the website of { $organisation } yourself and search for secure messages. Nobody from { $organisation } will ask you for codes to your electronic ID.
portal-inbox-empty = You have no messages to read right now.
portal-inbox-count =
    { $count ->
        [one] One message.
       *[other] { $count } messages.
    }
portal-inbox-unread =
    { $count ->
        [0] All have been read.
        [one] One is unread.
       *[other] { $count } are unread.
    }
portal-unread = Unread
portal-answered = Answered
portal-until = Can be read until { $time }
portal-no-subject = (no subject)
portal-outbox-empty = You have not sent any answer.
portal-to-whom = To { $recipient }
portal-drafts-empty = You have no drafts.
portal-saved-at = Saved { $time }
portal-facts = About the message
portal-from = From
portal-to = To
portal-received = Received
portal-readable = Can be read until
portal-partial = Part of the message cannot be shown here.
portal-original = Download the original
portal-frame = The text of the message
portal-frame-alone = Show the text on a page of its own
portal-as-text = Show as plain text
portal-no-text = The message has no text.
portal-files = Attached files
portal-file-count =
    { $count ->
        [one] One attached file
       *[other] { $count } attached files
    }
portal-reply = Answer
portal-reply-go-on = Go on with your answer
portal-pdf = Save as PDF
portal-retention = The message is deleted automatically on { $time }. Save it on your own computer or phone if you want to keep it.
portal-reply-heading = Answer the message
portal-reply-wrote = On { $time }, { $author } wrote:
portal-subject = Subject
portal-your-answer = Your answer
portal-add-files = Attach files
portal-add-hint = You can choose several files. Together they may be at most { $size }.
portal-remove = Remove
portal-remove-file = Remove { $name }
portal-send = Send the answer
portal-save = Save draft
portal-discard = Discard the draft
portal-saved = The draft has been saved. It stays under Drafts until you send it, as long as the message can be read.
portal-saved-nothing = Nothing has been written, so there is no draft to save.
portal-fault-title = Fault
portal-fault-heading = The answer has not been sent
portal-fault-kept = What you have written is saved as a draft.
portal-fault-files-large = The files are larger than { $size } together. Remove one or choose smaller files.
portal-fault-files-many = You can attach at most { $count } files.
portal-fault-malware = Malicious code was found in a file. The file has not been taken.
portal-fault-unscanned = A file could not be checked right now and has not been taken. Attach it again in a while.
portal-fault-no-room = Files cannot be taken right now. The text is saved. Attach the file again later.
portal-fault-text-long = The text is too long. Shorten it, or attach it as a file.
portal-fault-nothing = Write an answer, or attach a file.
portal-fault-changed = You have already sent an answer from this page. What you have changed since then has not been sent. Send it if you want it to arrive as one more answer.
portal-fault-unsent = The answer could not be taken right now. Try again in a while.
portal-unsent-heading = Your answer has not been sent, nor saved
portal-unsent-ended = You are no longer logged in: the time was up, or you logged out in another tab.
portal-unsent-anew = You have logged in anew since you opened the page.
portal-unsent-copy = What you wrote is only here below. Copy it, open the answer again and paste it in. A draft that you saved earlier is still there.
portal-unsent-files = Files that you had chosen must be chosen again.
portal-unsent-login = Log in and open the answer again
portal-unsent-open = Open the answer again
portal-sent-heading = Your answer has been sent
portal-sent-text = It goes, protected, to { $recipient }.
portal-sent-next-heading = What happens now?
portal-sent-next-text = If you get an answer back, a new e-mail with a link will arrive. Your own answer is under Sent.
portal-accessibility-lead = { $organisation } wants everybody to be able to read and answer secure messages. The portal is built to meet WCAG 2.2 at level AA.
portal-accessibility-how-heading = How the portal works
portal-accessibility-how = It works without JavaScript, with a keyboard, with a screen reader and on a phone. You can enlarge the text to 400 per cent. Dark mode follows the setting of your device. Before you are logged out you are warned and can go on.
portal-accessibility-limits-heading = Known limits
portal-accessibility-limits = Messages and attached files are shown as their senders wrote them and may therefore fall short. You can always show a message as plain text if its sender included that.
portal-accessibility-tell-heading = Tell us if something does not work
portal-accessibility-tell = Contact { $organisation } if you cannot use the portal or need the content in another form.
pdf-cut = The text is too long for a PDF and ends here. Read the rest in the portal.
