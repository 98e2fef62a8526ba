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
receipt-pickup = { $recipient }: ligger i portalen. En advisering er på vej til modtageren, som kan læse til og med { $date }.
receipt-tunnel = { $recipient }: sendt krypteret til { $domain }, som åbner det for sine modtagere.
receipt-personal = { $recipient }: sendt krypteret til modtagerens eget certifikat.
receipt-no-sms = { $recipient }: der sendes ingen sms, for sms er ikke sat op her.
receipt-held = { $recipient }: venter og er ikke sendt. Årsag: { $reason }
receipt-refused = { $recipient }: blev ikke sendt. Årsag: { $reason }
receipt-answers = Svar kommer til { $mailbox }.
receipt-id = Id til spørgsmål til supporten: { $id }

held-subject-none = En besked holdes tilbage
held-text = { $recipient }: venter på en beslutning fra driften. Årsag: { $reason }
held-how = En person beslutter, med en af disse kommandoer på gatewayen:
held-show = sealgate queue show { $id }: viser den
held-release = sealgate queue release { $id }: lader den gå videre
held-drop = sealgate queue drop { $id } --notify: opgiver den; kommandoen siger hvem der får det at vide

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
notice-failed-reason = Årsag: { $reason }.
notice-failed-advice = Kontrollér adressen, og send beskeden igen.

sealed-failed-subject = Kom retur: { $subject }
sealed-failed-subject-none = Din sikre besked kom retur
sealed-failed-text = Den krypterede besked til { $recipient } kom retur. Modtageren har ikke fået den.

notice-answered-subject = Forsøg på at svare: { $subject }
notice-answered-subject-none = Nogen forsøgte at svare på en advisering
notice-answered-text = { $recipient } svarede på adviseringen med almindelig e-mail i stedet for i portalen. Svaret er ikke sendt videre, fordi det ikke var beskyttet. Afsenderen har fået at vide, hvordan man svarer sikkert.

## To somebody who answered a notice by mail

safe-answer-subject = Dit svar kom ikke frem: sådan svarer du sikkert
safe-answer-heading = Dit svar kom ikke frem
safe-answer-text = Du svarede på en advisering fra { $organisation }. Almindelig e-mail er ikke beskyttet, og derfor er dit svar ikke givet videre til nogen.
safe-answer-how = Sådan svarer du: åbn linket i adviseringen, log på med din elektroniske id, og vælg Svar.
safe-answer-website = Mere om sikre beskeder:

## To a person whose answer from the portal did not arrive

answer-lost-subject = Dit svar kom ikke frem
answer-lost-text = Dit svar til { $organisation } kunne ikke afleveres til modtageren, og forsøgene er afsluttet. Ingen har fået det.
answer-lost-how = Kontakt organisationen, eller svar igen i portalen.

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
report-relayed-subject = Videresendt: { $subject }
report-relayed-subject-none = Din besked er videresendt
report-relayed-text = Beskeden er overladt til den næste mailserver, som ikke fortæller, hvordan det går videre:
report-line = { $recipient }: { $reason }
report-nothing-clear = Intet indhold har forladt organisationen ubeskyttet.

not-passed-on-subject = En besked udefra kunne ikke gives videre
not-passed-on-text = En besked udefra, der var modtaget, kunne ikke gives videre til:
not-passed-on-why = Afsenderen har ikke fået besked: ingen står inde for den adresse, der er angivet, og en rapport kunne nå en, der aldrig har skrevet. Beskedens header er vedhæftet.

reason-no-reply = modtagerens mailserver svarer ikke
reason-no-names = domænets navneservere svarer ikke, som de skal
reason-too-large = meddelelsen er større, end modtagerens mailserver tager imod
reason-form = modtagerens mailserver kan ikke tage imod meddelelsen i denne form
reason-not-handed-over = den kunne ikke afleveres til modtagerens mailserver
reason-no-such-address = adressen findes ikke
reason-no-such-domain = domænet modtager ikke e-mail
reason-mailbox-full = postkassen er fuld
reason-refused = modtagerens mailserver tog ikke imod adviseringen
reason-expired = tiden til forsøg er udløbet
reason-pickup = ligger i portalen
reason-dropped = stoppet af driften
reason-tls = ingen verificeret krypteret forbindelse til modtagerens mailserver
reason-certificate-theirs = modtagerens certifikat kan ikke bruges lige nu. Beskeden sendes, så snart der er et gyldigt certifikat
reason-certificate-ours = vores eget certifikat kan ikke bruges lige nu. Beskeden sendes, så snart der er et gyldigt certifikat
reason-unsealed = beskeden kunne ikke krypteres lige nu. Det forsøges igen
reason-unreachable = ingen sikker vej til modtageren
reason-number = intet login her viser et nummer af typen { $type }
reason-hold = reglen »{ $rule }« kræver, at en person godkender
reason-found = virusscanneren har en anmærkning til det ({ $found })
reason-no-key = den er krypteret til en nøgle, der ikke findes her ({ $keys })
reason-cannot-be-opened = den er krypteret til os og kan ikke åbnes
reason-sealed-to-others = den er krypteret til en anden modtagers nøgle
reason-rule = reglen »{ $rule }«

signature = { $organisation } · sendt automatisk af den sikre e-mail

## The portal

portal-product = Sikre meddelelser
portal-skip = Gå til indholdet
portal-nav = Hovedmenu
portal-languages = Sprog
portal-inbox = Indbakke
portal-outbox = Sendt
portal-drafts = Kladder
portal-logout = Log ud
portal-session = Du bliver logget ud automatisk { $time }, hvis du ikke gør noget inden.
portal-session-writing = Du bliver logget ud automatisk { $time }. Gem kladden for at forblive logget ind: så går det, du har skrevet, ikke tabt.
portal-stay = Forbliv logget ind
portal-still-heading = Er du der stadig?
portal-still-text = Du har ikke gjort noget et stykke tid. Om to minutter bliver du logget ud, så ingen andre kan læse dine meddelelser.
portal-accessibility = Tilgængelighed
portal-about = Om sikre meddelelser
portal-help = Brug for hjælp? { $contact }
portal-again = Prøv igen
portal-to-inbox = Til indbakken
portal-to-message = Til meddelelsen
portal-not-found-heading = Siden kan ikke vises
portal-not-found-text = Der er ikke noget her, som du kan læse. Linket kan være skrevet forkert, tiden for meddelelsen kan være udløbet, eller den er til en anden.
portal-stale-heading = Formularen gælder ikke længere
portal-stale-text = Gå tilbage, genindlæs siden og prøv igen. Det kan ske, hvis du har logget ind igen i en anden fane.
portal-login-failed-heading = Login blev afbrudt
portal-login-failed-text = Dit elektroniske id kunne ikke bekræftes. Du kan prøve igen.
portal-too-often-heading = Vent et øjeblik
portal-too-often-text = Der er kommet usædvanligt mange forsøg fra din forbindelse. Vent et minut og prøv igen.
portal-too-large-heading = Filerne er for store
portal-too-large-text = Det, du sendte, er større, end der kan modtages. Gå tilbage og vælg færre eller mindre filer.
portal-unavailable-heading = Det virker ikke lige nu
portal-unavailable-text = Fejlen er hos os, ikke hos dig. Dine meddelelser er der stadig. Prøv igen om lidt.
portal-landing-heading = Du har fået en sikker meddelelse
portal-landing-text = { $organisation } sender følsomme oplysninger på denne måde i stedet for med almindelig e-mail.
portal-landing-login = Log ind for at læse meddelelsen.
portal-landing-logged-in = Du er logget ind som { $name }. Åbn meddelelsen: du finder den bagefter også i din indbakke.
portal-landing-open = Åbn meddelelsen
portal-login-heading = Log ind
portal-login-text = Log ind med elektronisk id for at læse og besvare meddelelser fra { $organisation }.
portal-login-ended = Du er blevet logget ud, fordi tiden udløb. Log ind for at fortsætte.
portal-logged-out = Du er logget ud.
portal-choose = Vælg, hvordan du vil logge ind
portal-login-with = Log ind med { $provider }
portal-get = Sådan får du { $provider }
portal-genuine-heading = Er siden ægte?
portal-genuine-text = Kontrollér adressen øverst i browseren. Er du i tvivl, så gå selv til hjemmesiden for { $organisation } og søg efter sikre meddelelser. Ingen fra { $organisation } beder dig om koder til dit elektroniske id.
portal-inbox-empty = Du har ingen meddelelser at læse lige nu.
portal-inbox-count =
    { $count ->
        [one] Én meddelelse.
       *[other] { $count } meddelelser.
    }
portal-inbox-unread =
    { $count ->
        [0] Alle er læst.
        [one] Én er ulæst.
       *[other] { $count } er ulæste.
    }
portal-unread = Ulæst
portal-answered = Besvaret
portal-until = Kan læses til { $time }
portal-no-subject = (uden emne)
portal-outbox-empty = Du har ikke sendt noget svar.
portal-to-whom = Til { $recipient }
portal-drafts-empty = Du har ingen kladder.
portal-saved-at = Gemt { $time }
portal-facts = Om meddelelsen
portal-from = Fra
portal-to = Til
portal-received = Modtaget
portal-readable = Kan læses til
portal-partial = En del af meddelelsen kan ikke vises her.
portal-original = Hent originalen
portal-frame = Meddelelsens tekst
portal-frame-alone = Vis teksten på sin egen side
portal-as-text = Vis som enkel tekst
portal-no-text = Meddelelsen har ingen tekst.
portal-files = Vedhæftede filer
portal-file-count =
    { $count ->
        [one] Én vedhæftet fil
       *[other] { $count } vedhæftede filer
    }
portal-reply = Svar
portal-reply-go-on = Fortsæt på dit svar
portal-pdf = Gem som PDF
portal-retention = Meddelelsen slettes automatisk { $time }. Gem den på din egen computer eller telefon, hvis du vil beholde den.
portal-reply-heading = Svar på meddelelsen
portal-reply-wrote = Den { $time } skrev { $author }:
portal-subject = Emne
portal-your-answer = Dit svar
portal-add-files = Vedhæft filer
portal-add-hint = Du kan vælge flere filer. Tilsammen må de højst fylde { $size }.
portal-remove = Fjern
portal-remove-file = Fjern { $name }
portal-send = Send svaret
portal-save = Gem kladde
portal-discard = Slet kladden
portal-saved = Kladden er gemt. Den ligger under Kladder, til du sender den, så længe meddelelsen kan læses.
portal-saved-nothing = Der er ikke skrevet noget, så der er ingen kladde at gemme.
portal-fault-title = Fejl
portal-fault-heading = Svaret er ikke sendt
portal-fault-kept = Det, du har skrevet, er gemt som kladde.
portal-fault-files-large = Filerne fylder mere end { $size } tilsammen. Fjern en eller vælg mindre filer.
portal-fault-files-many = Du kan højst vedhæfte { $count } filer.
portal-fault-malware = Der blev fundet skadelig kode i en fil. Filen er ikke modtaget.
portal-fault-unscanned = En fil kunne ikke kontrolleres lige nu og er ikke modtaget. Vedhæft den igen om lidt.
portal-fault-no-room = Der kan ikke modtages filer lige nu. Teksten er gemt. Vedhæft filen igen senere.
portal-fault-text-long = Teksten er for lang. Gør den kortere, eller vedhæft den som en fil.
portal-fault-nothing = Skriv et svar, eller vedhæft en fil.
portal-fault-changed = Du har allerede sendt et svar fra denne side. Det, du har ændret siden, er ikke sendt. Send det, hvis du vil have, at det når frem som endnu et svar.
portal-fault-unsent = Svaret kunne ikke modtages lige nu. Prøv igen om lidt.
portal-unsent-heading = Dit svar er ikke sendt, og heller ikke gemt
portal-unsent-ended = Du er ikke logget ind længere: tiden løb ud, eller du loggede ud i en anden fane.
portal-unsent-anew = Du har logget ind igen, siden du åbnede siden.
portal-unsent-copy = Det, du skrev, findes kun her nedenfor. Kopiér det, åbn svaret igen, og sæt det ind. En kladde, som du gemte tidligere, er der stadig.
portal-unsent-files = Filer, som du havde valgt, skal du vælge igen.
portal-unsent-login = Log ind, og åbn svaret igen
portal-unsent-open = Åbn svaret igen
portal-sent-heading = Dit svar er sendt
portal-sent-text = Det går beskyttet til { $recipient }.
portal-sent-next-heading = Hvad sker der nu?
portal-sent-next-text = Hvis du får svar, kommer der en ny e-mail med et link. Dit eget svar ligger under Sendt.
portal-accessibility-lead = { $organisation } ønsker, at alle kan læse og besvare sikre meddelelser. Portalen er bygget til at opfylde WCAG 2.2 på niveau AA.
portal-accessibility-how-heading = Sådan virker portalen
portal-accessibility-how = Den virker uden JavaScript, med tastatur, med skærmlæser og på mobil. Du kan forstørre teksten til 400 procent. Mørk visning følger indstillingen på din enhed. Før du bliver logget ud, får du en advarsel og kan fortsætte.
portal-accessibility-limits-heading = Kendte mangler
portal-accessibility-limits = Meddelelser og vedhæftede filer vises, som afsenderen har skrevet dem, og kan derfor have mangler. Du kan altid vise en meddelelse som enkel tekst, hvis afsenderen har sendt en sådan med.
portal-accessibility-tell-heading = Fortæl os, hvis noget ikke virker
portal-accessibility-tell = Kontakt { $organisation }, hvis du ikke kan bruge portalen eller har brug for indholdet i en anden form.
pdf-cut = Teksten er for lang til en PDF og slutter her. Læs resten i portalen.
