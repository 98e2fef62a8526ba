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
receipt-pickup = { $recipient }: ligger i portalen. En avisering är på väg till mottagaren, som kan läsa till och med { $date }.
receipt-tunnel = { $recipient }: skickat krypterat till { $domain }, som öppnar det för sina mottagare.
receipt-personal = { $recipient }: skickat krypterat till mottagarens eget certifikat.
receipt-no-sms = { $recipient }: inget sms skickas, för sms är inte inrättat här.
receipt-held = { $recipient }: väntar och har inte skickats. Orsak: { $reason }
receipt-refused = { $recipient }: skickades inte. Orsak: { $reason }
receipt-answers = Svar kommer till { $mailbox }.
receipt-id = Id för frågor till supporten: { $id }

held-subject-none = Ett meddelande hålls kvar
held-text = { $recipient }: väntar på ett beslut av driften. Orsak: { $reason }
held-how = En person beslutar, med ett av dessa kommandon på gatewayen:
held-show = sealgate queue show { $id }: visar det
held-release = sealgate queue release { $id }: låter det gå vidare
held-drop = sealgate queue drop { $id } --notify: ger upp det; kommandot säger vem som får veta det

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
notice-failed-reason = Orsak: { $reason }.
notice-failed-advice = Kontrollera adressen och skicka meddelandet igen.

sealed-failed-subject = Kom i retur: { $subject }
sealed-failed-subject-none = Ditt säkra meddelande kom i retur
sealed-failed-text = Det krypterade meddelandet till { $recipient } kom i retur. Mottagaren har inte fått det.

notice-answered-subject = Försök att svara: { $subject }
notice-answered-subject-none = Någon försökte svara på en avisering
notice-answered-text = { $recipient } svarade på aviseringen med vanlig e-post i stället för i portalen. Svaret har inte skickats vidare, eftersom det inte var skyddat. Avsändaren har fått veta hur man svarar säkert.

## To somebody who answered a notice by mail

safe-answer-subject = Ditt svar kom inte fram: så svarar du säkert
safe-answer-heading = Ditt svar kom inte fram
safe-answer-text = Du svarade på en avisering från { $organisation }. Vanlig e-post är inte skyddad, och därför har ditt svar inte lämnats vidare till någon.
safe-answer-how = Så svarar du: öppna länken i aviseringen, logga in med din e-legitimation och välj Svara.
safe-answer-website = Mer om säkra meddelanden:

## To a person whose answer from the portal did not arrive

answer-lost-subject = Ditt svar kom inte fram
answer-lost-text = Ditt svar till { $organisation } kunde inte lämnas till mottagaren, och försöken har avslutats. Ingen har fått det.
answer-lost-how = Kontakta organisationen, eller svara igen i portalen.

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
report-relayed-subject = Vidarebefordrat: { $subject }
report-relayed-subject-none = Ditt meddelande är vidarebefordrat
report-relayed-text = Meddelandet har lämnats över till nästa e-postserver, som inte berättar hur det går vidare:
report-line = { $recipient }: { $reason }
report-nothing-clear = Inget innehåll har lämnat organisationen oskyddat.

not-passed-on-subject = Ett meddelande utifrån kunde inte lämnas vidare
not-passed-on-text = Ett meddelande utifrån som hade tagits emot kunde inte lämnas vidare till:
not-passed-on-why = Avsändaren har inte underrättats: ingen går i god för den adress som uppges, och ett besked kunde nå någon som aldrig har skrivit. Meddelandets huvud är bifogat.

reason-no-reply = mottagarens e-postserver svarar inte
reason-no-names = domänens namnservrar svarar inte som de ska
reason-too-large = meddelandet är större än vad mottagarens e-postserver tar emot
reason-form = mottagarens e-postserver kan inte ta emot meddelandet i den här formen
reason-not-handed-over = det kunde inte lämnas till mottagarens e-postserver
reason-no-such-address = adressen finns inte
reason-no-such-domain = domänen tar inte emot e-post
reason-mailbox-full = brevlådan är full
reason-refused = mottagarens e-postserver tog inte emot aviseringen
reason-expired = tiden för försök är ute
reason-pickup = ligger i portalen
reason-dropped = stoppat av driften
reason-tls = ingen verifierad krypterad förbindelse till mottagarens e-postserver
reason-certificate-theirs = mottagarens certifikat kan inte användas just nu. Meddelandet går iväg så snart ett giltigt certifikat finns
reason-certificate-ours = vårt eget certifikat kan inte användas just nu. Meddelandet går iväg så snart ett giltigt certifikat finns
reason-unsealed = meddelandet kunde inte krypteras just nu. Det försöks igen
reason-unreachable = ingen säker väg till mottagaren
reason-number = ingen inloggning här visar ett nummer av typen { $type }
reason-hold = regeln ”{ $rule }” kräver att en person godkänner
reason-found = virusskyddet har anmärkt på det ({ $found })
reason-no-key = det är krypterat till en nyckel som inte finns här ({ $keys })
reason-cannot-be-opened = det är krypterat till oss och kan inte öppnas
reason-sealed-to-others = det är krypterat till en annan mottagares nyckel
reason-rule = regeln ”{ $rule }”

signature = { $organisation } · skickat automatiskt av den säkra e-posten

## The portal

portal-product = Säkra meddelanden
portal-skip = Hoppa till innehållet
portal-nav = Huvudmeny
portal-languages = Språk
portal-inbox = Inkorg
portal-outbox = Skickat
portal-drafts = Utkast
portal-logout = Logga ut
portal-session = Du loggas ut automatiskt { $time } om du inte gör något innan dess.
portal-session-writing = Du loggas ut automatiskt { $time }. Spara utkastet för att stanna kvar: det du har skrivit finns då kvar.
portal-stay = Fortsätt vara inloggad
portal-still-heading = Är du kvar?
portal-still-text = Du har inte gjort något på en stund. Om två minuter loggas du ut, så att ingen annan kan läsa dina meddelanden.
portal-accessibility = Tillgänglighet
portal-about = Om säkra meddelanden
portal-help = Behöver du hjälp? { $contact }
portal-again = Försök igen
portal-to-inbox = Till inkorgen
portal-to-message = Till meddelandet
portal-not-found-heading = Sidan kan inte visas
portal-not-found-text = Det finns inget här som du kan läsa. Länken kan vara felskriven, tiden för meddelandet kan ha gått ut, eller så är det till någon annan.
portal-stale-heading = Formuläret gäller inte längre
portal-stale-text = Gå tillbaka, ladda om sidan och försök igen. Det kan hända om du har loggat in på nytt i en annan flik.
portal-login-failed-heading = Inloggningen avbröts
portal-login-failed-text = Din e-legitimation kunde inte bekräftas. Du kan försöka igen.
portal-too-often-heading = Vänta en stund
portal-too-often-text = Det har kommit ovanligt många försök från din anslutning. Vänta en minut och försök igen.
portal-too-large-heading = Filerna är för stora
portal-too-large-text = Det du skickade är större än vad som kan tas emot. Gå tillbaka och välj färre eller mindre filer.
portal-unavailable-heading = Det fungerar inte just nu
portal-unavailable-text = Felet är hos oss, inte hos dig. Dina meddelanden finns kvar. Försök igen om en stund.
portal-landing-heading = Du har fått ett säkert meddelande
portal-landing-text = { $organisation } skickar känsliga uppgifter på det här sättet i stället för med vanlig e-post.
portal-landing-login = Logga in för att läsa meddelandet.
portal-landing-logged-in = Du är inloggad som { $name }. Öppna meddelandet: du hittar det sedan också i din inkorg.
portal-landing-open = Öppna meddelandet
portal-login-heading = Logga in
portal-login-text = Logga in med e-legitimation för att läsa och besvara meddelanden från { $organisation }.
portal-login-ended = Du har loggats ut eftersom tiden gick ut. Logga in för att fortsätta.
portal-logged-out = Du har loggats ut.
portal-choose = Välj hur du vill logga in
portal-login-with = Logga in med { $provider }
portal-get = Så skaffar du { $provider }
portal-genuine-heading = Är sidan äkta?
portal-genuine-text = Kontrollera adressen överst i webbläsaren. Är du osäker, gå själv till webbplatsen för { $organisation } och sök efter säkra meddelanden. Ingen från { $organisation } ber dig om koder till din e-legitimation.
portal-inbox-empty = Du har inga meddelanden att läsa just nu.
portal-inbox-count =
    { $count ->
        [one] Ett meddelande.
       *[other] { $count } meddelanden.
    }
portal-inbox-unread =
    { $count ->
        [0] Alla är lästa.
        [one] Ett är oläst.
       *[other] { $count } är olästa.
    }
portal-unread = Oläst
portal-answered = Besvarat
portal-until = Kan läsas till { $time }
portal-no-subject = (utan ämne)
portal-outbox-empty = Du har inte skickat något svar.
portal-to-whom = Till { $recipient }
portal-drafts-empty = Du har inga utkast.
portal-saved-at = Sparat { $time }
portal-facts = Om meddelandet
portal-from = Från
portal-to = Till
portal-received = Mottaget
portal-readable = Kan läsas till
portal-partial = En del av meddelandet kan inte visas här.
portal-original = Ladda ner originalet
portal-frame = Meddelandets text
portal-frame-alone = Visa texten på en egen sida
portal-as-text = Visa som enkel text
portal-no-text = Meddelandet har ingen text.
portal-files = Bifogade filer
portal-file-count =
    { $count ->
        [one] En bifogad fil
       *[other] { $count } bifogade filer
    }
portal-reply = Svara
portal-reply-go-on = Fortsätt på ditt svar
portal-pdf = Spara som PDF
portal-retention = Meddelandet raderas automatiskt { $time }. Spara det på din egen dator eller telefon om du vill ha det kvar.
portal-reply-heading = Svara på meddelandet
portal-reply-wrote = Den { $time } skrev { $author }:
portal-subject = Ämne
portal-your-answer = Ditt svar
portal-add-files = Bifoga filer
portal-add-hint = Du kan välja flera filer. Tillsammans får de vara högst { $size }.
portal-remove = Ta bort
portal-remove-file = Ta bort { $name }
portal-send = Skicka svaret
portal-save = Spara utkast
portal-discard = Släng utkastet
portal-saved = Utkastet är sparat. Det ligger kvar under Utkast tills du skickar det, så länge meddelandet kan läsas.
portal-saved-nothing = Inget har skrivits, så det finns inget utkast att spara.
portal-fault-title = Fel
portal-fault-heading = Svaret har inte skickats
portal-fault-kept = Det du har skrivit är sparat som utkast.
portal-fault-files-large = Filerna är större än { $size } tillsammans. Ta bort någon eller välj mindre filer.
portal-fault-files-many = Du kan bifoga högst { $count } filer.
portal-fault-malware = Skadlig kod hittades i en fil. Filen har inte tagits emot.
portal-fault-unscanned = En fil kunde inte kontrolleras just nu och har inte tagits emot. Bifoga den igen om en stund.
portal-fault-no-room = Filer kan inte tas emot just nu. Texten är sparad. Bifoga filen igen senare.
portal-fault-text-long = Texten är för lång. Korta den eller bifoga den som en fil.
portal-fault-nothing = Skriv ett svar eller bifoga en fil.
portal-fault-changed = Du har redan skickat ett svar från den här sidan. Det du har ändrat sedan dess har inte skickats. Skicka det om du vill att det ska komma fram som ett svar till.
portal-fault-unsent = Svaret kunde inte tas emot just nu. Försök igen om en stund.
portal-unsent-heading = Ditt svar har inte skickats, och inte sparats heller
portal-unsent-ended = Du är inte inloggad längre: tiden gick ut, eller så loggade du ut i en annan flik.
portal-unsent-anew = Du har loggat in på nytt sedan du öppnade sidan.
portal-unsent-copy = Det du skrev finns bara här nedanför. Kopiera det, öppna svaret igen och klistra in det. Ett utkast som du sparade tidigare finns kvar.
portal-unsent-files = Filer som du hade valt måste du välja igen.
portal-unsent-login = Logga in och öppna svaret igen
portal-unsent-open = Öppna svaret igen
portal-sent-heading = Ditt svar är skickat
portal-sent-text = Det går skyddat till { $recipient }.
portal-sent-next-heading = Vad händer nu?
portal-sent-next-text = Om du får ett svar tillbaka kommer ett nytt e-postmeddelande med en länk. Ditt eget svar finns under Skickat.
portal-accessibility-lead = { $organisation } vill att alla ska kunna läsa och besvara säkra meddelanden. Portalen är byggd för att uppfylla WCAG 2.2 på nivå AA.
portal-accessibility-how-heading = Så fungerar portalen
portal-accessibility-how = Den fungerar utan JavaScript, med tangentbord, med skärmläsare och på mobil. Du kan förstora texten till 400 procent. Mörkt läge följer inställningen i din enhet. Innan du loggas ut får du en varning och kan fortsätta.
portal-accessibility-limits-heading = Kända brister
portal-accessibility-limits = Meddelanden och bifogade filer visas som avsändaren har skrivit dem och kan därför ha brister. Du kan alltid visa ett meddelande som enkel text om avsändaren har skickat med sådan.
portal-accessibility-tell-heading = Berätta om något inte fungerar
portal-accessibility-tell = Kontakta { $organisation } om du inte kan använda portalen eller behöver innehållet i en annan form.
pdf-cut = Texten är för lång för en PDF och slutar här. Läs resten i portalen.
