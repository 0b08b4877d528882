/**
 * The most common passwords of at least 8 characters, in lower case. The list is short on purpose: it covers the
 * guesses that fit into an attempt budget. It does not replace a list of breached passwords.
 */
export const commonPasswords: ReadonlySet<string> = new Set(
  `
  12345678 123456789 1234567890 0123456789 123123123 11111111 111111111 1111111111 00000000 0000000000 22222222
  33333333 55555555 66666666 77777777 88888888 99999999 87654321 987654321 9876543210 0987654321 12341234 12344321
  123454321 123321123 147258369 147852369 159753456 741852963 789456123 123654789 963852741 112233445566 11223344
  12121212 10203040 123qweasd 123qwe123 12qwaszx 1234qwer 12345qwert 123456789a 123456789q 1234abcd 123456abc
  1q2w3e4r 1q2w3e4r5t 1q2w3e4r5t6y 1qaz2wsx 1qaz2wsx3edc 1qazxsw2 q1w2e3r4 q1w2e3r4t5 qwer1234 qwert123 qwerty12
  qwerty123 qwerty1234 qwerty12345 qwerty123456 qwertyui qwertyuiop qwertyqwerty qazwsxedc qazwsx123 qweasdzxc
  asdfasdf asdfghjk asdfghjkl asdf1234 asdasdasd zaq12wsx zaq1zaq1 zxcvbnm123 zxcvbnm1 zxcvbnm, zxcvzxcv zxcvasdf
  1234567a 12345678a a12345678 a123456789 a1234567 a1b2c3d4 aa123456 aa12345678 aaaaaaaa abc12345 abc123456 abcd1234
  abcdefgh abcdefg1 abcd12345 abc123abc abcabcabc
  password password1 password2 password3 password11 password12 password123 password1234 password12345 password!
  password01 password99 password69 password. passw0rd p@ssw0rd p@ssword p@ssw0rd1 pa55word pa55w0rd passwort
  passwort1 passwort123 passphrase passpass pass1234 pass12345 mypassword password1! newpassword nopassword motdepasse
  contrasena contraseña wachtwoord salasana haslo123 parola123 heslo123
  admin123 admin1234 admin12345 admin123456 adminadmin administrator administrador root1234 rootroot toor1234
  default1 changeme changeme1 changeme123 changeit letmein1 letmein123 welcome1 welcome12 welcome123 welcome1234
  guest123 guest1234 test1234 test12345 testtest testing123 test123456 temp1234 demo1234 user1234 login123 secret123
  supersecret topsecret system123 manager1 master123 server123 oracle123 raspberry raspberrypi homeassistant
  home-assistant homeassistant1 hassio123 gatehouse gatehouse1
  iloveyou iloveyou1 iloveyou2 iloveyou! iloveu123 loveyou1 lovelove lovely123 ilovegod sunshine sunshine1 princess
  princess1 football football1 baseball baseball1 basketball basketba superman superman1 spiderman batman123 starwars
  starwars1 pokemon123 pokemon1 minecraft fortnite1 computer computer1 internet internet1 samsung1 samsung123
  google123 facebook facebook1 linkedin youtube1 microsoft windows1 whatever whatever1 trustno1 dragon123 monkey123
  shadow123 michael1 michelle jennifer jennifer1 jessica1 jordan23 charlie1 charlie123 ashley123 danielle
  stephanie christian elizabeth alexander alexandra nicholas anthony1 benjamin patricia victoria veronica
  chocolate butterfly elephant dolphins cheyenne scorpion midnight midnight1 mercedes corvette mustang1 ferrari1
  porsche1 yamaha123 liverpool liverpool1 chelsea123 arsenal1 barcelona realmadrid juventus manchester
  hello123 hello1234 hellohello helloworld hallo123 bonjour1 freedom1 blink182 slipknot metallica nirvana1
  summer2023 summer2024 summer2025 summer2026 winter2023 winter2024 winter2025 winter2026 spring2025 spring2026
  autumn2025 autumn2026 january1 september november december trinity1 genesis1 maverick phoenix1 diamond1
  qwerty1! abcd123! admin@123 admin@1234 pass@123 pass@1234 test@123 welcome@123 india@123 p@ssw0rd123 q1w2e3r4t5y6
  1password 123password 1234password password321 drowssap 1234567890q 1234567890a 147896325 123698745 741258963
  159357456 159951159 321321321 456456456 789789789 999999999 55555555555 666666666 777777777 888888888 12345612
  123456123 123456654321 654321123 1122334455 121212121 131313131 232323232 101010101 20202020 19871987 19901990
  `
    .trim()
    .split(/\s+/),
);
