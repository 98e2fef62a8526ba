# Texts of sealgate in Danish. Every id stands in all languages, with the same words in it.

## Notice to a recipient

notice-subject = Du har fået en sikker besked fra { $organisation }
notice-heading = Du har en sikker besked
notice-department = { $organisation }, { $department }, har sendt dig en besked.
notice-organisation = { $organisation } har sendt dig en besked.
notice-why = Indholdet er beskyttet og sendes derfor ikke i almindelig e-mail. Du læser det, når du er logget på med din elektroniske id.
notice-button = Læs beskeden
notice-until = Beskeden kan læses til og med { $date }. Derefter slettes den automatisk.
notice-providers = Du kan logge på med { $providers }.
notice-get = Sådan får du { $provider }:
notice-genuine = Er du i tvivl, om dette er ægte? Så klik ikke på linket. Gå i stedet selv til hjemmesiden for { $organisation }, og søg efter sikre beskeder:
notice-genuine-no-website = Er du i tvivl, om dette er ægte? Så klik ikke på linket. Kontakt { $organisation } på den måde, du plejer.
notice-questions = Spørgsmål? { $contact }
notice-no-answer = Denne mail er sendt automatisk. Svar ikke på den: log på, og svar i beskeden, så er dit svar også beskyttet.

## Receipt to a sender

receipt-subject = Kvittering: { $subject }
receipt-subject-none = Kvittering for din sikre besked
receipt-heading = Sådan gik det med din sikre besked
receipt-about = Emne: { $subject }
receipt-pickup = { $recipient }: ligger i portalen. Modtageren har fået en advisering og kan læse til og med { $date }.
receipt-held = { $recipient }: venter og er ikke sendt. Årsag: { $reason }
receipt-refused = { $recipient }: blev ikke sendt. Årsag: { $reason }
receipt-answers = Svar kommer til { $mailbox }.
receipt-id = Id til spørgsmål til supporten: { $id }

opened-subject = Læst: { $subject }
opened-subject-none = Din sikre besked er læst
opened-text = { $recipient } åbnede beskeden { $time }.

unopened-subject = Ikke læst: { $subject }
unopened-subject-none = Din sikre besked er ikke læst
unopened-text = { $recipient } har endnu ikke åbnet beskeden. Den kan læses til og med { $date }.

expired-subject = Slettet uden at være læst: { $subject }
expired-subject-none = Din sikre besked blev slettet uden at være læst
expired-text = { $recipient } åbnede ikke beskeden. Tiden er udløbet, og beskeden er slettet.

recalled-subject = Tilbagekaldt: { $subject }
recalled-subject-none = Din sikre besked er tilbagekaldt
recalled-text = Beskeden til { $recipient } er tilbagekaldt og kan ikke læses længere.

notice-failed-subject = Kunne ikke adviseres: { $subject }
notice-failed-subject-none = Modtageren kunne ikke adviseres
notice-failed-text = Adviseringen til { $recipient } kom retur. Modtageren ved derfor ikke, at der ligger en besked.
notice-failed-reason = Svaret fra modtagerens mailserver: { $reason }
notice-failed-advice = Kontrollér adressen, og send beskeden igen.

notice-answered-subject = Forsøg på at svare: { $subject }
notice-answered-subject-none = Nogen forsøgte at svare på en advisering
notice-answered-text = { $recipient } svarede på adviseringen med almindelig e-mail i stedet for i portalen. Svaret er ikke sendt videre, fordi det ikke var beskyttet. Afsenderen har fået at vide, hvordan man svarer sikkert.

## To somebody who answered a notice by mail

safe-answer-subject = Dit svar kom ikke frem: sådan svarer du sikkert
safe-answer-heading = Dit svar kom ikke frem
safe-answer-text = Du svarede på en advisering fra { $organisation }. Almindelig e-mail er ikke beskyttet, og derfor er dit svar ikke givet videre til nogen.
safe-answer-how = Sådan svarer du: åbn linket i adviseringen, log på med din elektroniske id, og vælg Svar.
safe-answer-website = Mere om sikre beskeder:

## Delivery reports

report-failed-subject = Kunne ikke leveres: { $subject }
report-failed-subject-none = Din besked kunne ikke leveres
report-failed-text = Beskeden kunne ikke leveres til:
report-delayed-subject = Forsinket: { $subject }
report-delayed-subject-none = Din besked er forsinket
report-delayed-text = Beskeden er endnu ikke leveret til følgende modtagere. Forsøgene fortsætter til { $date }. Du behøver ikke at gøre noget.
report-success-subject = Leveret: { $subject }
report-success-subject-none = Din besked er leveret
report-success-text = Beskeden er leveret til:
report-line = { $recipient }: { $reason }
report-nothing-clear = Intet indhold har forladt organisationen ubeskyttet.

reason-no-reply = modtagerens mailserver svarer ikke
reason-expired = tiden til forsøg er udløbet
reason-dropped = stoppet af driften
reason-tls = ingen verificeret krypteret forbindelse til modtagerens mailserver
reason-unreachable = ingen sikker vej til modtageren
reason-hold = reglen »{ $rule }« kræver, at en person godkender
reason-rule = reglen »{ $rule }«

signature = { $organisation } · sendt automatisk af den sikre e-mail
