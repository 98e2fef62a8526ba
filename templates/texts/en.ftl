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
receipt-pickup = { $recipient }: in the portal. The recipient has been notified and can read it up to and including { $date }.
receipt-held = { $recipient }: waiting, not sent. Reason: { $reason }
receipt-refused = { $recipient }: not sent. Reason: { $reason }
receipt-answers = Answers will go to { $mailbox }.
receipt-id = Id for questions to the help desk: { $id }

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
notice-failed-reason = The answer of the recipient's mail server: { $reason }
notice-failed-advice = Check the address and send the message again.

notice-answered-subject = Attempt to answer: { $subject }
notice-answered-subject-none = Somebody tried to answer a notice
notice-answered-text = { $recipient } answered the notice by ordinary e-mail instead of in the portal. The answer was not passed on, because it was not protected. Its author has been told how to answer safely.

## To somebody who answered a notice by mail

safe-answer-subject = Your answer did not arrive: how to answer safely
safe-answer-heading = Your answer did not arrive
safe-answer-text = You answered a notice from { $organisation }. Ordinary e-mail is not protected, so your answer has not been passed on to anybody.
safe-answer-how = How to answer: open the link in the notice, log in with your electronic ID and choose Answer.
safe-answer-website = More about secure messages:

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
report-line = { $recipient }: { $reason }
report-nothing-clear = No content has left the organisation unprotected.

reason-no-reply = the recipient's mail server does not answer
reason-expired = the time for attempts is over
reason-dropped = stopped by operations
reason-tls = no verified encrypted connection to the recipient's mail server
reason-unreachable = no secure way to the recipient
reason-hold = the rule "{ $rule }" asks for a person's approval
reason-rule = the rule "{ $rule }"

signature = { $organisation } · sent automatically by the secure mail
