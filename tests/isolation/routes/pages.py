"""Documents, pages and probes."""

from tests.isolation.asks import Ask, Exempt

_DOCUMENT = Exempt("the same document for everybody")
_PAGE = Exempt("files of the console, the same for everybody")
_PROBE = Exempt("whether the process is well")

ROUTES: dict[str, tuple[Ask, ...]] = {
    "GET /.well-known/jwks.json": (_DOCUMENT,),
    "GET /.well-known/apple-app-site-association": (_DOCUMENT,),
    "GET /.well-known/assetlinks.json": (_DOCUMENT,),
    "GET /v1/auth/methods": (_DOCUMENT,),
    "GET /livez": (_PROBE,),
    "GET /readyz": (_PROBE,),
    "GET /metrics": (Exempt("numbers without names, for machines on the operator's network"),),
    "GET /errors": (_DOCUMENT,),
    "GET /schema": (_DOCUMENT,),
    "GET /schema/{path}": (_DOCUMENT,),
    "GET /schema/openapi.json": (_DOCUMENT,),
    "GET /schema/asyncapi.json": (_DOCUMENT,),
    "GET /schema/scalar.js": (_DOCUMENT,),
    "GET /": (_PAGE,),
    "GET /console": (_PAGE,),
    "GET /console/account": (_PAGE,),
    "GET /console/audit": (_PAGE,),
    "GET /console/edge": (_PAGE,),
    "GET /console/flags": (_PAGE,),
    "GET /console/people": (_PAGE,),
    "GET /console/realtime": (_PAGE,),
    "GET /console/{name}": (_PAGE,),
    "GET /console/sdk/centrifuge.js": (_PAGE,),
}
