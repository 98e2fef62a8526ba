# Texts of sealgate in Swedish. Every id stands in all languages, with the same words in it.

## Notice to a recipient

notice-subject = Du har fått ett säkert meddelande från { $organisation }
notice-heading = Du har ett säkert meddelande
notice-department = { $organisation }, { $department }, har skickat ett meddelande till dig.
notice-organisation = { $organisation } har skickat ett meddelande till dig.
notice-why = Innehållet är skyddat och skickas därför inte i vanlig e-post. Du läser det när du har loggat in med din e-legitimation.
notice-button = Läs meddelandet
notice-until = Meddelandet kan läsas till och med { $date }. Därefter raderas det automatiskt.
notice-providers = Du kan logga in med { $providers }.
notice-get = Så skaffar du { $provider }:
notice-genuine = Är du osäker på om det här är äkta? Klicka inte på länken. Gå i stället själv till { $organisation }s webbplats och sök efter säkra meddelanden:
notice-genuine-no-website = Är du osäker på om det här är äkta? Klicka inte på länken. Kontakta { $organisation } på det sätt du brukar.
notice-questions = Frågor? { $contact }
notice-no-answer = Det här brevet skickades automatiskt. Svara inte på det: logga in och svara i meddelandet, då är även ditt svar skyddat.

## Receipt to a sender

receipt-subject = Kvitto: { $subject }
receipt-subject-none = Kvitto för ditt säkra meddelande
receipt-heading = Så gick det med ditt säkra meddelande
receipt-about = Ärende: { $subject }
receipt-pickup = { $recipient }: ligger i portalen. Mottagaren har fått en avisering och kan läsa till och med { $date }.
receipt-held = { $recipient }: väntar och har inte skickats. Orsak: { $reason }
receipt-refused = { $recipient }: skickades inte. Orsak: { $reason }
receipt-answers = Svar kommer till { $mailbox }.
receipt-id = Id för frågor till supporten: { $id }

opened-subject = Läst: { $subject }
opened-subject-none = Ditt säkra meddelande är läst
opened-text = { $recipient } öppnade meddelandet { $time }.

unopened-subject = Inte läst: { $subject }
unopened-subject-none = Ditt säkra meddelande är inte läst
unopened-text = { $recipient } har ännu inte öppnat meddelandet. Det kan läsas till och med { $date }.

expired-subject = Raderat utan att läsas: { $subject }
expired-subject-none = Ditt säkra meddelande raderades utan att läsas
expired-text = { $recipient } öppnade inte meddelandet. Tiden är ute och meddelandet är raderat.

recalled-subject = Återkallat: { $subject }
recalled-subject-none = Ditt säkra meddelande är återkallat
recalled-text = Meddelandet till { $recipient } är återkallat och kan inte läsas längre.

notice-failed-subject = Kunde inte aviseras: { $subject }
notice-failed-subject-none = Mottagaren kunde inte aviseras
notice-failed-text = Aviseringen till { $recipient } kom i retur. Mottagaren vet därför inte att det finns ett meddelande att läsa.
notice-failed-reason = Svaret från mottagarens e-postserver: { $reason }
notice-failed-advice = Kontrollera adressen och skicka meddelandet igen.

notice-answered-subject = Försök att svara: { $subject }
notice-answered-subject-none = Någon försökte svara på en avisering
notice-answered-text = { $recipient } svarade på aviseringen med vanlig e-post i stället för i portalen. Svaret har inte skickats vidare, eftersom det inte var skyddat. Avsändaren har fått veta hur man svarar säkert.

## To somebody who answered a notice by mail

safe-answer-subject = Ditt svar kom inte fram: så svarar du säkert
safe-answer-heading = Ditt svar kom inte fram
safe-answer-text = Du svarade på en avisering från { $organisation }. Vanlig e-post är inte skyddad, och därför har ditt svar inte lämnats vidare till någon.
safe-answer-how = Så svarar du: öppna länken i aviseringen, logga in med din e-legitimation och välj Svara.
safe-answer-website = Mer om säkra meddelanden:

## Delivery reports

report-failed-subject = Kunde inte levereras: { $subject }
report-failed-subject-none = Ditt meddelande kunde inte levereras
report-failed-text = Meddelandet kunde inte levereras till:
report-delayed-subject = Fördröjt: { $subject }
report-delayed-subject-none = Ditt meddelande är fördröjt
report-delayed-text = Meddelandet har ännu inte kunnat levereras till följande mottagare. Försöken fortsätter till { $date }. Du behöver inte göra något.
report-success-subject = Levererat: { $subject }
report-success-subject-none = Ditt meddelande är levererat
report-success-text = Meddelandet har levererats till:
report-line = { $recipient }: { $reason }
report-nothing-clear = Inget innehåll har lämnat organisationen oskyddat.

reason-no-reply = mottagarens e-postserver svarar inte
reason-expired = tiden för försök är ute
reason-dropped = stoppat av driften
reason-tls = ingen verifierad krypterad förbindelse till mottagarens e-postserver
reason-unreachable = ingen säker väg till mottagaren
reason-hold = regeln ”{ $rule }” kräver att en person godkänner
reason-rule = regeln ”{ $rule }”

signature = { $organisation } · skickat automatiskt av den säkra e-posten
