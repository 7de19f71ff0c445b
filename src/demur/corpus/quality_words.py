"""Function words of 40 languages: the small words without which nobody writes many sentences.

Chosen by hand, with the spellings people use without accents; facts about languages, taken from no list. Gopher asks
for two of eight English ones in a page (Rae et al. 2021, arXiv:2112.11446, §A.1.1); here a long post without a
single one of its own language is a list of words, and a language that is not here is never asked.
"""

from __future__ import annotations

FUNCTION_WORDS: dict[str, str] = {
    "ar": "في من على الى إلى ان أن هذا هذه ما لا و يا كل مع عن هو هي انت انا بس كان اللي مش لو قد ولا او",
    "bg": "и на да не се за в от с по че е си са ще но как като аз ти той това тази ми ли до или му",
    "ca": "de la el i a que en no per és un una els les amb es del al ho com més si o aquest va però",
    "cs": "a na v se je že to s z do i o ale si by jako tak za ve k pro jsem jsou ne pri při od po už co ten ta jen",
    "cy": "y yn a i o ar yr ei mae am wedi fod hyn i'r gan ond oedd eu na ac at bod ni mewn 'r un hwn",
    "da": "og i at det er en til på af for ikke med den de der som jeg har et han var du man så om kan men vi hvad",
    "de": "der die das und ist nicht ich du wir ihr sie es in zu den mit auf ein eine von für im auch so wie was man "
    "dem aber oder nur noch wenn sich an bei aus hat sind war dass mal ja",
    "el": "και το να του η της με που την από για είναι ο δεν στο τα θα οι τη μου σε τον στην μας ένα αυτό μια κι ότι "
    "απο ειναι δε τους τις πως",
    "en": "the of and to a in is i you that it for on be with are was this have not my me so at but we he she they if "
    "do your just what or by as an from all no up",
    "es": "de la que el en y a los se no un una por con para es lo las su del me al te mi más mas si como pero o ya "
    "son esta este",
    "et": "ja on ei et see ka oli ma sa ta mis kui siis aga oma nii või kes ning ole need seda veel mitte meie te me "
    "selle",
    "eu": "eta da ez du bat dute dira hau baina ere zen hori bai ditu egin zuen izan nik zer baino ni gara dut den",
    "fi": "ja on ei se että oli mutta niin kun hän ne tai myös kuin nyt jos mitä ole minä sinä he me tämä en et sen "
    "olen vain jo olla",
    "fr": "de la le et les des en un une du que est pour qui dans pas a à il elle je tu on nous vous sur ne ce se au "
    "avec plus mais c'est ou y si ça ca par sont",
    "fy": "de it en in is fan dat net op te mei foar hy ik wy hja der wie as ek oan sa dy dit om har syn jo binne",
    "ga": "an na agus a ar is i go ag le do tá sé ní bhí mar sin seo mé níl ach nó leis sa den don é í siad cad",
    "gl": "de a o que e en do da non un unha por con para os as se no na é como máis mais ao pero eu meu está",
    "hr": "i je u se na da su za od s to ne ili a kao što sto ali sam bi iz po do koji koja bio nije samo smo te ti",
    "hu": "a az és nem hogy is van egy ez de meg csak már mar ha azt mint volt ki el én te ő vagy lesz még kell "
    "nincs itt mert",
    "is": "og að í á er ekki það sem við til um en með af hann ég var þú hún þetta fyrir vera hef mér því svo",
    "it": "di che e la il un a per in una è non sono mi si con lo le ma i ho da del della come se più piu anche ci al "
    "gli o questo",
    "lb": "de an ass déi den net ech et si mat vun op fir zu dat am eng d'  du mir ginn oder awer wann wéi hunn ze och",
    "lt": "ir į yra kad ne su tai iš o bet kaip už jis buvo aš tu mes jie ar apie per dar nuo tik jo po i is as",
    "lv": "un ir ka ar no uz par es tas tu nav bet kā lai ja tā to pie man jau tik vai es mēs viņš pa kas ka arī ari "
    "ta bija bez",
    "mk": "и на да не се за во од со по дека е си са ќе но како јас ти тој тоа таа ми ли до или го го ја",
    "mt": "il li u ta' f' ma' fuq minn għal hija huwa dan din kien ma x' jew biex kif imma għandu hu hi mill fil tal "
    "f'dan kollha kull",
    "nb": "og i det er på en at ikke til jeg for som å med av har den de var han et du om så vi men kan hun hva skal",
    "nl": "de het een en van ik je dat is in niet te op met voor zijn er maar aan ook die als wat om zo dit of bij nog "
    "hij ze we",
    "nn": "og i det er på ein at ikkje til eg for som å med av har den dei var han eit du om så vi me men kan ho kva",
    "pl": "i w nie na się sie to jest z do że ze a o jak ale po co tak za od czy mnie dla już juz jestem mi ja ty by",
    "pt": "de a o que e do da em um para é com não nao uma os no se na por mais as dos como mas eu você vc me meu q tá "
    "ta te pra foi isso esse",
    "ro": "de și si în in la nu a ca să sa cu pe un o este e că din mai ce pentru sunt dar am ai au lui le se care ne "
    "va tot asta",
    "ru": "и в не на я что с он а как это по но у к мы ты за из от так же все бы то она они да есть был для мне",
    "sk": "a na v sa je že to s z do i o ale si by ako tak za vo k pre som sú nie pri od po už čo ten tá len aj",
    "sl": "in je v se na da za so ne ki pa tudi kot ali od z s to po sem bi iz do še pri ni bil kaj tako si ga",
    "sq": "të e në dhe për me një që nga është ka si nuk u i a por ai kjo ky jam më do te ne per qe nje eshte ose",
    "sr": "и је у се на да су за од с то не или а као што али сам би из по до i je u se na da su za od to ne ili a kao "
    "sto ali sam",
    "sv": "och i att det är en på som för av med inte den till har jag om ett de så men han var du man kan vi hon från",
    "tr": "ve bir bu da de için ne ile çok ben sen o ki mi var ama gibi daha kadar her değil mı olarak cok icin ya en",
    "uk": "і в не на я що з він а як це по але у до ми ти за із від так же всі би то вона вони та є був для мені й",
}
"""Language → its words, lower case, between blanks."""
